#!/usr/bin/env bash
# An app of 11 collections with 3,310 rows of real data, made and loaded over HTTP, then guarded by a plugin.
# NORTHWIND names the folder with the data set, one JSON file a table.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../lib.sh"
cd "$here/../../.."
NORTHWIND=${NORTHWIND:-../shared/data/northwind}
[ -f "$NORTHWIND/orders.json" ] || { echo "there is no data set: NORTHWIND is not set" >&2; exit 1; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
tests/e2e/northwind/run.sh "$BUILD" "$NORTHWIND" >"$log"
row "northwind: the story is told to its end" "tests/e2e/northwind/run.sh BUILD DATA" "status 0" "status $?"

# seen NAME EXPECTED: one line of the story.
seen() { row "northwind: $1" "tests/e2e/northwind/run.sh BUILD DATA" "$2" "$(sed -n "s|^$1	||p" "$log")"; }

seen "collections" 11
seen "rows" 3310
seen "rows of categories" 8
seen "rows of customers" 93
seen "rows of employees" 9
seen "rows of employee_territories" 49
seen "rows of order_lines" 2155
seen "rows of orders" 830
seen "rows of products" 77
seen "rows of regions" 4
seen "rows of shippers" 3
seen "rows of suppliers" 29
seen "rows of territories" 53

seen "a code twice" "400 validation_not_unique"
seen "a name twice in other letters" "400 validation_not_unique"
seen "no name" "400 validation_required"
seen "a code of six letters" "400 validation_invalid_format"
seen "a relation to nothing" "400 validation_missing_rel_records"
seen "a product that lines need" 400
seen "a stranger's order list" 0
seen "a customer's order list" 6
seen "a customer asks for another's order" 404
seen "a customer's suppliers" 0
seen "a customer changes a price" 403

seen "lines, page by page" 2155
seen "revenue after discount, added up by the client" 1265793.04
seen "revenue after discount, by a view" 1265793.04
seen "revenue of Beverages" 267868.18
seen "revenue of Condiments" 106047.09
seen "revenue of Confections" 167357.23
seen "revenue of Dairy Products" 234507.29
seen "revenue of Grains/Cereals" 95744.59
seen "revenue of Meat/Poultry" 163022.36
seen "revenue of Produce" 99984.58
seen "revenue of Seafood" 131261.74
seen "the ten largest orders" "10865 QUICK 16387.50, 10981 HANAR 15810.00, 11030 SAVEA 12615.05, \
10889 RATTC 11380.00, 10417 SIMOB 11188.40, 10817 KOENE 10952.85, 10897 HUNGO 10835.24, 10479 RATTC 10495.60, \
10540 QUICK 10191.70, 10691 QUICK 10164.80"

seen "dearest products" "Côte de Blaye, Thüringer Rostbratwurst, Mishi Kobe Niku, Sir Rodney's Marmalade, Carnarvon Tigers"
seen "below their reorder level" 18
seen "names with ch" 14
seen "names that end in ade" 3
seen "names with an umlaut" "Original Frankfurter grüne Soße"
seen "orders not shipped" "11008 11019 11039 11040 11045 11051 11054 11058 11059 11061 11062 11065 11068 11070 11071 \
11072 11073 11074 11075 11076 11077"
seen "orders of 1997" 408
seen "orders of German customers" 122
seen "heavy freight to Germany, page 1" "10540 10691 10694 10658 10865 10817 11021 10962 10345 11012"
seen "heavy freight to Germany, page 4" "10337 10513"
seen "orders with a line of 100 or more" "10286 10398 10451 10452 10515 10549 10588 10595 10607 10678 10711 10713 10764 \
10776 10854 10894 10895 11017 11030 11072"
seen "orders with a discount on every line" 217
seen "customers without a region" 62
seen "who reports to whom" "Buchanan>Fuller Callahan>Fuller Davolio>Fuller Dodsworth>Buchanan Fuller> King>Buchanan \
Leverling>Fuller Peacock>Fuller Suyama>Buchanan"
seen "orders on nine pages of 100" 830
seen "freight per country" "USA 122 13771.29, Germany 122 11283.28, Austria 40 7391.50"

seen "the plugin's totals before discount" "QUICK-Stop 28 117483.39, Save-a-lot Markets 31 115673.39, Ernst Handel 30 113236.68"
seen "forty of 39 in stock" "400 39 in stock"
seen "all that is in stock" 200
seen "what is left" 0
seen "one more" 400
seen "lines at the end" 2156
