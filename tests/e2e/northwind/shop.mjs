/**
 * shop.mjs - the Northwind shop as an app: its collections, and how a row of the data set becomes a record.
 *
 * Ids are made of the data set's own keys, so that relations need no look-up: "pro000000000011".
 */

/** The record id of a row: three letters of its table and its key, filled up to 15 characters. */
export const id = (table, key) =>
	key === null || key === undefined ? "" : table + String(key).toLowerCase().trim().padStart(15 - table.length, "0");

const text = (name, more = {}) => ({ name, type: "text", ...more });
const number = (name, more = {}) => ({ name, type: "number", ...more });
const bool = (name) => ({ name, type: "bool" });
const date = (name, more = {}) => ({ name, type: "date", ...more });
const relation = (name, to, more = {}) => ({ name, type: "relation", collectionId: to, maxSelect: 1, ...more });

const ANYONE = "";
const SIGNED_IN = '@request.auth.id != ""';
const OWN_ORDERS = '@request.auth.id != "" && (@request.auth.role = "staff" || customer.code = @request.auth.code)';
const address = [text("address"), text("city"), text("region"), text("postal_code"), text("country")];

/** In an order in which each relation finds what it points at. */
export const collections = [
	{ name: "regions", read: ANYONE, fields: [text("name", { required: true })] },
	{
		name: "territories",
		read: ANYONE,
		fields: [text("code", { required: true }), text("name", { required: true }), relation("region", "regions", { required: true })],
		indexes: ["CREATE UNIQUE INDEX idx_territories_code ON territories (code)"],
	},
	{
		name: "employees",
		read: '@request.auth.role = "staff"',
		fields: [
			text("last_name", { required: true }),
			text("first_name", { required: true }),
			text("title"),
			text("courtesy"),
			date("born"),
			date("hired"),
			...address,
			text("phone"),
			text("extension"),
			text("notes"),
		],
		later: [relation("reports_to", "employees")],
	},
	{
		name: "employee_territories",
		read: '@request.auth.role = "staff"',
		fields: [relation("employee", "employees", { required: true }), relation("territory", "territories", { required: true })],
		indexes: ["CREATE UNIQUE INDEX idx_employee_territories ON employee_territories (employee, territory)"],
	},
	{ name: "categories", read: ANYONE, fields: [text("name", { required: true }), text("description")] },
	{ name: "shippers", read: ANYONE, fields: [text("name", { required: true }), text("phone")] },
	{
		name: "suppliers",
		read: '@request.auth.role = "staff"',
		fields: [text("name", { required: true }), text("contact"), text("contact_title"), ...address, text("phone"), text("fax"), text("home_page")],
	},
	{
		name: "customers",
		read: '@request.auth.role = "staff" || code = @request.auth.code',
		fields: [
			text("code", { required: true, pattern: "^[A-Z][A-Za-z0-9 ]{4}$" }),
			text("name", { required: true }),
			text("contact"),
			text("contact_title"),
			...address,
			text("phone"),
			text("fax"),
		],
		indexes: ["CREATE UNIQUE INDEX idx_customers_code ON customers (code)"],
	},
	{
		name: "products",
		read: ANYONE,
		fields: [
			text("name", { required: true }),
			relation("supplier", "suppliers", { required: true }),
			relation("category", "categories", { required: true }),
			text("quantity_per_unit"),
			number("unit_price", { min: 0 }),
			number("stock", { min: 0, onlyInt: true }),
			number("on_order", { min: 0, onlyInt: true }),
			number("reorder_level", { min: 0, onlyInt: true }),
			bool("discontinued"),
		],
		indexes: ["CREATE UNIQUE INDEX idx_products_name ON products (name COLLATE NOCASE)"],
	},
	{
		name: "orders",
		read: OWN_ORDERS,
		fields: [
			number("number", { required: true, onlyInt: true }),
			relation("customer", "customers", { required: true }),
			relation("employee", "employees", { required: true }),
			date("ordered", { required: true }),
			date("wanted"),
			date("shipped"),
			relation("ship_via", "shippers", { required: true }),
			number("freight", { min: 0 }),
			text("ship_name"),
			text("ship_address"),
			text("ship_city"),
			text("ship_region"),
			text("ship_postal_code"),
			text("ship_country"),
		],
		indexes: ["CREATE UNIQUE INDEX idx_orders_number ON orders (number)"],
	},
	{
		name: "order_lines",
		read: SIGNED_IN,
		create: SIGNED_IN,
		fields: [
			relation("order", "orders", { required: true, cascadeDelete: true }),
			relation("product", "products", { required: true }),
			number("unit_price", { min: 0 }),
			number("quantity", { required: true, onlyInt: true, min: 1 }),
			number("discount", { min: 0, max: 1 }),
		],
		indexes: ["CREATE UNIQUE INDEX idx_order_lines ON order_lines (`order`, product)"],
	},
];

/** What the data set calls a table, what the app calls it, and a row as a record. */
export const tables = [
	["regions", "regions", (r) => ({ id: id("reg", r.RegionID), name: r.RegionDescription })],
	[
		"territories",
		"territories",
		(r) => ({ id: id("ter", r.TerritoryID), code: r.TerritoryID, name: r.TerritoryDescription, region: id("reg", r.RegionID) }),
	],
	[
		"employees",
		"employees",
		(r) => ({
			id: id("emp", r.EmployeeID),
			last_name: r.LastName,
			first_name: r.FirstName,
			title: r.Title,
			courtesy: r.TitleOfCourtesy,
			born: r.BirthDate,
			hired: r.HireDate,
			address: r.Address,
			city: r.City,
			region: r.Region,
			postal_code: r.PostalCode,
			country: r.Country,
			phone: r.HomePhone,
			extension: r.Extension,
			notes: r.Notes,
		}),
	],
	[
		"employeeterritories",
		"employee_territories",
		(r) => ({ employee: id("emp", r.EmployeeID), territory: id("ter", r.TerritoryID) }),
	],
	["categories", "categories", (r) => ({ id: id("cat", r.CategoryID), name: r.CategoryName, description: r.Description })],
	["shippers", "shippers", (r) => ({ id: id("shi", r.ShipperID), name: r.CompanyName, phone: r.Phone })],
	[
		"suppliers",
		"suppliers",
		(r) => ({
			id: id("sup", r.SupplierID),
			name: r.CompanyName,
			contact: r.ContactName,
			contact_title: r.ContactTitle,
			address: r.Address,
			city: r.City,
			region: r.Region,
			postal_code: r.PostalCode,
			country: r.Country,
			phone: r.Phone,
			fax: r.Fax,
			home_page: r.HomePage,
		}),
	],
	[
		"customers",
		"customers",
		(r) => ({
			id: id("cus", r.CustomerID),
			code: r.CustomerID,
			name: r.CompanyName,
			contact: r.ContactName,
			contact_title: r.ContactTitle,
			address: r.Address,
			city: r.City,
			region: r.Region,
			postal_code: r.PostalCode,
			country: r.Country,
			phone: r.Phone,
			fax: r.Fax,
		}),
	],
	[
		"products",
		"products",
		(r) => ({
			id: id("pro", r.ProductID),
			name: r.ProductName,
			supplier: id("sup", r.SupplierID),
			category: id("cat", r.CategoryID),
			quantity_per_unit: r.QuantityPerUnit,
			unit_price: r.UnitPrice,
			stock: r.UnitsInStock,
			on_order: r.UnitsOnOrder,
			reorder_level: r.ReorderLevel,
			discontinued: r.Discontinued === "1",
		}),
	],
	[
		"orders",
		"orders",
		(r) => ({
			id: id("ord", r.OrderID),
			number: r.OrderID,
			customer: id("cus", r.CustomerID),
			employee: id("emp", r.EmployeeID),
			ordered: r.OrderDate,
			wanted: r.RequiredDate,
			shipped: r.ShippedDate,
			ship_via: id("shi", r.ShipVia),
			freight: r.Freight,
			ship_name: r.ShipName,
			ship_address: r.ShipAddress,
			ship_city: r.ShipCity,
			ship_region: r.ShipRegion,
			ship_postal_code: r.ShipPostalCode,
			ship_country: r.ShipCountry,
		}),
	],
	[
		"order_details",
		"order_lines",
		(r) => ({
			order: id("ord", r.OrderID),
			product: id("pro", r.ProductID),
			unit_price: r.UnitPrice,
			quantity: r.Quantity,
			discount: r.Discount,
		}),
	],
];

/** Money in whole hundredths of a cent, so that nothing is lost on the way, and rounded once, half up. */
const REVENUE =
	"CAST((sum(CAST(round(l.unit_price * 100) AS INTEGER) * CAST(l.quantity AS INTEGER) * " +
	"CAST(round(100 - 100 * l.discount) AS INTEGER)) + 50) / 100 / 100.0 AS REAL)";

/** Collections of type view, made when the tables are there. */
export const views = [
	{ name: "revenue", query: `SELECT 'all000000000000' AS id, ${REVENUE} AS revenue FROM order_lines l` },
	{
		name: "category_revenue",
		query:
			`SELECT c.id, c.name, ${REVENUE} AS revenue FROM order_lines l ` +
			"JOIN products p ON p.id = l.product JOIN categories c ON c.id = p.category GROUP BY c.id",
	},
	{
		name: "order_totals",
		query:
			`SELECT o.id, o.number, o.customer, ${REVENUE} AS total FROM orders o ` +
			'JOIN order_lines l ON l."order" = o.id GROUP BY o.id',
	},
];
