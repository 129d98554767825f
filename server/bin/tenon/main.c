/* tenon - the one program: the server, and the commands that talk to it. */
#include "cli.h"

int main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
