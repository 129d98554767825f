#include "cli.h"

#include "commands.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *usage, *help;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "serve", "[--listen ADDRESS:PORT] [--demo]", "starts the server", command_serve },
	{ "operator", "upsert EMAIL PASSWORD", "who runs this server", command_operator },
	{ "superuser", "upsert EMAIL PASSWORD [--tenant T]", "who administers one tenant",
		command_superuser },
	{ "token", "create --scope S [--expires D] [--tenant T]", "API keys of a tenant",
		command_token },
	{ "tenant", "create|list|suspend|resume [NAME]", "tenants of this server", command_tenant },
	{ "plugin", "deploy|list|show|check|rollback|disable|enable ...", "plugins of a tenant",
		command_plugin },
	{ "import", "COLLECTION FILE.{csv,json} [--tenant T]", "records out of a file",
		command_import },
	{ "export", "COLLECTION FILE.{csv,json} [--tenant T]", "records into a file",
		command_export },
	{ "collections", "export|import FILE [--tenant T]", "all definitions of a tenant",
		command_collections },
	{ "audit", "tail|query|verify", "what happened, and the proof of it", command_audit },
	{ "doctor", "", "what this machine offers, which sandbox layers hold, what is missing",
		command_doctor },
};

#define N_COMMANDS (sizeof commands / sizeof commands[0])

static void usage(FILE *to)
{
	fprintf(to, "Tenon " CLI_VERSION
		    ": an application backend whose tenants extend it with native plugins\n\n"
		    "usage: tenon COMMAND [--data DIR] [--json] ...\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(to, "  %-11s %-50s %s\n", commands[i].name, commands[i].usage,
			commands[i].help);
	fprintf(to, "\nThe data folder is ./tenon-data unless --data says otherwise. tenon COMMAND "
		    "--help tells more.\n"
		    "Exit status: 0 done, 1 refused or failed, 2 wrong usage.\n");
}

int cli_main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
		puts("Tenon " CLI_VERSION);
		return 0;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		usage(stdout);
		return 0;
	}
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(argc - 2, argv + 2);
	if (*name)
		fprintf(stderr, "tenon: there is no command '%s'\n\n", name);
	usage(stderr);
	return 2;
}
