/* tenon doctor: what this machine offers, which sandbox layers hold, what is missing. */
#include "args.h"
#include "commands.h"

#include "sandbox_report.h"

#include <stdio.h>

#define REPORT_MAX 16384

static const char *const verdicts[] = {
	[SANDBOX_FULL] = "Every layer holds: plugins run here.",
	[SANDBOX_DEGRADED] = "Layers are missing: plugins run only with --allow-missing for them.",
	[SANDBOX_REFUSED] = "Layers are missing that no plugin may run without: none will start.",
};

int command_doctor(int argc, char **argv)
{
	struct args_option options[] = {
		{ "--json", NULL, "print the report as JSON", NULL },
	};
	struct args args;
	struct sandbox_report report;
	uint32_t missing;

	if (!args_parse(argc, argv, options, 1, &args))
		return 2;
	if (args.wants_help || args.n_words > 0) {
		fprintf(args.wants_help ? stdout : stderr,
			"usage: tenon doctor\n"
			"Tries each layer of the sandbox on this machine and says what holds.\n");
		args_print(options, 1);
		return args.wants_help ? 0 : 2;
	}

	DEFER(bytes_buf_fini) struct bytes_buf text;
	bytes_buf_init(&text, REPORT_MAX);
	sandbox_probe(&report);
	enum sandbox_verdict verdict = sandbox_report_check(&report, 0, &missing);
	if (options[0].value)
		(void)sandbox_report_json(&report, &text);
	else
		(void)sandbox_report_text(&report, &text);
	printf("%.*s\n", (int)text.n, text.p);
	if (!options[0].value)
		puts(verdicts[verdict]);
	return verdict == SANDBOX_FULL ? 0 : 1;
}
