/* The route tables: the whole surface of the server on two pages. */
#include "internal.h"

#define SMALL  16384u      /* bytes of a body that holds a few fields */
#define BODY   (1u << 20)  /* of a record or a collection */
#define BATCH  (4u << 20)  /* of a batch of writes */
#define IMPORT (16u << 20) /* of an import */
#define PLUGIN (64u << 20) /* of a plugin file */

const struct route api_tenant_routes[] = {
	{ ROUTE_GET, "/api/health", ROUTE_PUBLIC, 0, "health", health },

	{ ROUTE_GET, "/api/realtime", ROUTE_PUBLIC, 0, "realtime.open", realtime_open },
	{ ROUTE_POST, "/api/realtime", ROUTE_PUBLIC, BODY, "realtime.subscribe",
		realtime_subscribe },

	{ ROUTE_GET, "/api/collections/{c}/records", ROUTE_PUBLIC, 0, "record.list", records_list },
	{ ROUTE_POST, "/api/collections/{c}/records", ROUTE_PUBLIC, BODY, "record.create",
		records_create },
	{ ROUTE_PATCH, "/api/collections/{c}/records", ROUTE_PUBLIC, BODY, "record.update",
		bulk_update },
	{ ROUTE_DELETE, "/api/collections/{c}/records", ROUTE_PUBLIC, BODY, "record.delete",
		bulk_delete },
	{ ROUTE_POST, "/api/collections/{c}/records/import", ROUTE_PUBLIC, IMPORT, "record.import",
		records_import },
	{ ROUTE_POST, "/api/batch", ROUTE_PUBLIC, BATCH, "record.batch", batch_post },
	{ ROUTE_GET, "/api/collections/{c}/records/{id}", ROUTE_PUBLIC, 0, "record.get",
		records_get },
	{ ROUTE_GET, "/api/collections/{c}/records/export", ROUTE_PUBLIC, 0, "record.export",
		records_export },
	{ ROUTE_PATCH, "/api/collections/{c}/records/{id}", ROUTE_PUBLIC, BODY, "record.update",
		records_update },
	{ ROUTE_DELETE, "/api/collections/{c}/records/{id}", ROUTE_PUBLIC, 0, "record.delete",
		records_delete },

	{ ROUTE_GET, "/api/collections", ROUTE_SUPERUSER, 0, "collection.list", collections_list },
	{ ROUTE_POST, "/api/collections", ROUTE_SUPERUSER, BODY, "collection.create",
		collections_create },
	{ ROUTE_GET, "/api/collections/{c}", ROUTE_SUPERUSER, 0, "collection.get",
		collections_get },
	{ ROUTE_PATCH, "/api/collections/{c}", ROUTE_SUPERUSER, BODY, "collection.update",
		collections_update },
	{ ROUTE_DELETE, "/api/collections/{c}", ROUTE_SUPERUSER, 0, "collection.delete",
		collections_delete },

	{ ROUTE_POST, "/api/collections/{c}/auth-with-password", ROUTE_PUBLIC, SMALL,
		"auth.password", sign_in_password },
	{ ROUTE_POST, "/api/collections/{c}/auth-refresh", ROUTE_USER, SMALL, "auth.refresh",
		sign_in_refresh },
	{ ROUTE_GET, "/api/collections/{c}/auth-methods", ROUTE_PUBLIC, 0, "auth.methods",
		sign_in_methods },
	{ ROUTE_POST, "/api/collections/{c}/auth-with-oauth2", ROUTE_PUBLIC, SMALL, "auth.oauth2",
		sign_in_oauth2 },
	{ ROUTE_POST, "/api/collections/{c}/request-otp", ROUTE_PUBLIC, SMALL, "auth.otp.request",
		sign_in_otp },
	{ ROUTE_POST, "/api/collections/{c}/auth-with-otp", ROUTE_PUBLIC, SMALL, "auth.otp",
		sign_in_otp },
	{ ROUTE_POST, "/api/collections/{c}/impersonate/{id}", ROUTE_SUPERUSER, SMALL,
		"auth.impersonate", sign_in_impersonate },
	{ ROUTE_POST, "/api/collections/{c}/request-verification", ROUTE_PUBLIC, SMALL,
		"auth.verification.request", accounts_request_verification },
	{ ROUTE_POST, "/api/collections/{c}/confirm-verification", ROUTE_PUBLIC, SMALL,
		"auth.verification.confirm", accounts_confirm_verification },
	{ ROUTE_POST, "/api/collections/{c}/request-password-reset", ROUTE_PUBLIC, SMALL,
		"auth.reset.request", accounts_request_reset },
	{ ROUTE_POST, "/api/collections/{c}/confirm-password-reset", ROUTE_PUBLIC, SMALL,
		"auth.reset.confirm", accounts_confirm_reset },
	{ ROUTE_POST, "/api/collections/{c}/request-email-change", ROUTE_USER, SMALL,
		"auth.email.request", accounts_request_email },
	{ ROUTE_POST, "/api/collections/{c}/confirm-email-change", ROUTE_PUBLIC, SMALL,
		"auth.email.confirm", accounts_confirm_email },

	{ ROUTE_GET, "/api/settings", ROUTE_SUPERUSER, 0, "settings.get", settings_get },
	{ ROUTE_PATCH, "/api/settings", ROUTE_SUPERUSER, BODY, "settings.update", settings_patch },
	{ ROUTE_POST, "/api/settings/test/email", ROUTE_SUPERUSER, SMALL, "settings.test.email",
		settings_test_email },
	{ ROUTE_POST, "/api/settings/test/s3", ROUTE_SUPERUSER, SMALL, "settings.test.s3",
		settings_test_s3 },
	{ ROUTE_POST, "/api/settings/apple/generate-client-secret", ROUTE_SUPERUSER, SMALL,
		"settings.apple", settings_apple },
	{ ROUTE_GET, "/api/keys", ROUTE_SUPERUSER, 0, "key.list", keys_list },
	{ ROUTE_POST, "/api/keys", ROUTE_SUPERUSER, SMALL, "key.create", keys_create },
	{ ROUTE_DELETE, "/api/keys/{id}", ROUTE_SUPERUSER, 0, "key.revoke", keys_revoke },
	{ ROUTE_GET, "/api/crons", ROUTE_SUPERUSER, 0, "cron.list", crons_list },
	{ ROUTE_POST, "/api/crons/{id}", ROUTE_SUPERUSER, SMALL, "cron.run", crons_run },
	{ ROUTE_ANY, "/api/backups", ROUTE_SUPERUSER, SMALL, "backup.refused", backups_refuse },
	{ ROUTE_ANY, "/api/backups/{rest*}", ROUTE_SUPERUSER, SMALL, "backup.refused",
		backups_refuse },

	/* The body's limit is that of the plugin's own route. */
	{ ROUTE_ANY, "/api/x/{plugin}/{rest*}", ROUTE_PUBLIC, 0, "plugin.call", plugin_call },
};
const size_t api_n_tenant_routes = sizeof api_tenant_routes / sizeof api_tenant_routes[0];

const struct route api_server_routes[] = {
	{ ROUTE_GET, "/healthz", ROUTE_PUBLIC, 0, "health", health },
	{ ROUTE_GET, "/readyz", ROUTE_PUBLIC, 0, "health", health },
	{ ROUTE_GET, "/metrics", ROUTE_PUBLIC, 0, "metrics", metrics_get },

	{ ROUTE_GET, "/", ROUTE_PUBLIC, 0, "console", assets_redirect },
	{ ROUTE_GET, "/_/{rest*}", ROUTE_PUBLIC, 0, "console", assets_get },

	{ ROUTE_GET, "/platform/setup", ROUTE_PUBLIC, 0, "setup.get", setup_get },
	{ ROUTE_POST, "/platform/setup", ROUTE_PUBLIC, SMALL, "setup.post", setup_post },
	{ ROUTE_POST, "/platform/signin", ROUTE_PUBLIC, SMALL, "auth.operator", session_sign_in },
	{ ROUTE_POST, "/platform/signout", ROUTE_OPERATOR, SMALL, "auth.signout",
		session_sign_out },
	{ ROUTE_GET, "/platform/session", ROUTE_OPERATOR, 0, "session.get", session_get },
	{ ROUTE_PUT, "/platform/operators", ROUTE_OPERATOR, SMALL, "operator.upsert",
		operators_put },

	{ ROUTE_GET, "/platform/tenants", ROUTE_OPERATOR, 0, "tenant.list", tenants_list },
	{ ROUTE_POST, "/platform/tenants", ROUTE_OPERATOR, SMALL, "tenant.create", tenants_create },
	{ ROUTE_POST, "/platform/tenants/{t}/suspend", ROUTE_OPERATOR, SMALL, "tenant.suspend",
		tenants_suspend },
	{ ROUTE_POST, "/platform/tenants/{t}/resume", ROUTE_OPERATOR, SMALL, "tenant.resume",
		tenants_resume },
	{ ROUTE_POST, "/platform/tenants/{t}/collections/{c}/import", ROUTE_OPERATOR, IMPORT,
		"record.import", tenants_import },
	{ ROUTE_POST, "/platform/tenants/{t}/keys", ROUTE_OPERATOR, SMALL, "key.create",
		keys_create_for },
	{ ROUTE_PUT, "/platform/tenants/{t}/web", ROUTE_OPERATOR, SMALL, "tenant.web",
		tenants_web },
	{ ROUTE_PUT, "/platform/tenants/{t}/superusers", ROUTE_OPERATOR, SMALL, "superuser.upsert",
		superusers_put },

	{ ROUTE_GET, "/platform/tenants/{t}/collections/{c}/export", ROUTE_OPERATOR, 0,
		"record.export", platform_export },

	{ ROUTE_GET, "/platform/plugins", ROUTE_OPERATOR, 0, "plugin.list", plugins_list },
	{ ROUTE_POST, "/platform/tenants/{t}/plugins", ROUTE_OPERATOR, PLUGIN, "plugin.deploy",
		plugins_deploy },
	{ ROUTE_GET, "/platform/tenants/{t}/plugins/{p}", ROUTE_OPERATOR, 0, "plugin.show",
		plugins_show },
	{ ROUTE_POST, "/platform/tenants/{t}/plugins/{p}/rollback", ROUTE_OPERATOR, SMALL,
		"plugin.rollback", plugins_rollback },
	{ ROUTE_POST, "/platform/tenants/{t}/plugins/{p}/disable", ROUTE_OPERATOR, SMALL,
		"plugin.disable", plugins_disable },
	{ ROUTE_POST, "/platform/tenants/{t}/plugins/{p}/enable", ROUTE_OPERATOR, SMALL,
		"plugin.enable", plugins_enable },

	{ ROUTE_GET, "/platform/overview", ROUTE_OPERATOR, 0, "overview.get", overview_get },
	{ ROUTE_GET, "/platform/metrics/range", ROUTE_OPERATOR, 0, "metrics.range", range_get },
	{ ROUTE_GET, "/platform/events", ROUTE_OPERATOR, 0, "events.watch", events_get },
	{ ROUTE_GET, "/platform/audit", ROUTE_OPERATOR, 0, "audit.query", audit_list },
};
const size_t api_n_server_routes = sizeof api_server_routes / sizeof api_server_routes[0];
