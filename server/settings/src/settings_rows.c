#include "internal.h"

#define AT(member) offsetof(struct settings, member)

/* In order of group: they are written so. */
const struct settings_row settings_rows[] = {
	{ "batch", "enabled", ROW_BOOL, AT(batch.enabled), 0, 0, "true", CHECK_NONE, NULL, { 0 } },
	{ "batch", "maxRequests", ROW_NUMBER, AT(batch.max_requests), 1, 1000, "50", CHECK_NONE,
		NULL, { 0 } },
	{ "batch", "timeout", ROW_NUMBER, AT(batch.timeout_s), 1, 60, "3", CHECK_NONE, NULL,
		{ 0 } },
	{ "batch", "maxBodySize", ROW_NUMBER, AT(batch.max_body_bytes), 0, 256 << 20, "0",
		CHECK_NONE, NULL, { 0 } },

	{ "logs", "maxDays", ROW_NUMBER, AT(logs.max_days), 0, 3650, "5", CHECK_NONE, NULL, { 0 } },
	{ "logs", "minLevel", ROW_NUMBER, AT(logs.min_level), -100, 100, "0", CHECK_NONE, NULL,
		{ 0 } },
	{ "logs", "logIP", ROW_BOOL, AT(logs.log_ip), 0, 0, "false", CHECK_NONE, NULL, { 0 } },
	{ "logs", "logAuthId", ROW_BOOL, AT(logs.log_auth_id), 0, 0, "true", CHECK_NONE, NULL,
		{ 0 } },

	{ "meta", "appName", ROW_TEXT, AT(meta.app_name), 0, 255, "My app", CHECK_REQUIRED, NULL,
		{ 0 } },
	{ "meta", "appURL", ROW_TEXT, AT(meta.app_url), 0, 2000, "http://localhost:8090", CHECK_URL,
		NULL, { 0 } },
	{ "meta", "senderName", ROW_TEXT, AT(meta.sender_name), 0, 255, "Support", CHECK_REQUIRED,
		NULL, { 0 } },
	{ "meta", "senderAddress", ROW_TEXT, AT(meta.sender_address), 0, 254, "support@example.com",
		CHECK_EMAIL, NULL, { 0 } },
	{ "meta", "hideControls", ROW_BOOL, AT(meta.hide_controls), 0, 0, "false", CHECK_NONE, NULL,
		{ 0 } },

	{ "rateLimits", "enabled", ROW_BOOL, AT(limits.enabled), 0, 0, "true", CHECK_NONE, NULL,
		{ 0 } },
	{ "rateLimits", "rules", ROW_LIMITS, AT(limits.rules), 0, 0, NULL, CHECK_NONE, NULL,
		{ 0 } },

	{ "smtp", "enabled", ROW_BOOL, AT(smtp.enabled), 0, 0, "false", CHECK_NONE, NULL, { 0 } },
	{ "smtp", "host", ROW_TEXT, AT(smtp.host), 0, 253, "smtp.example.com", CHECK_HOST,
		"enabled", { 0 } },
	{ "smtp", "port", ROW_NUMBER, AT(smtp.port), 1, 65535, "587", CHECK_NONE, NULL, { 0 } },
	{ "smtp", "username", ROW_TEXT, AT(smtp.username), 0, 255, "", CHECK_NONE, NULL, { 0 } },
	{ "smtp", "password", ROW_SECRET, AT(smtp.password), 0, 1000, "", CHECK_NONE, NULL, { 0 } },
	{ "smtp", "authMethod", ROW_CHOICE, AT(smtp.auth_method), 0, 16, "", CHECK_NONE, NULL,
		{ "", "PLAIN", "LOGIN", NULL } },
	{ "smtp", "tls", ROW_BOOL, AT(smtp.tls), 0, 0, "false", CHECK_NONE, NULL, { 0 } },
	{ "smtp", "localName", ROW_TEXT, AT(smtp.local_name), 0, 253, "", CHECK_NONE, NULL, { 0 } },
};
const size_t settings_n_rows = sizeof(settings_rows) / sizeof(settings_rows[0]);
