/*
 * commands.h - one function per command: words behind its name in, exit status out
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

int command_serve(int argc, char **argv);
int command_operator(int argc, char **argv);
int command_superuser(int argc, char **argv);
int command_token(int argc, char **argv);
int command_tenant(int argc, char **argv);
int command_plugin(int argc, char **argv);
int command_import(int argc, char **argv);
int command_export(int argc, char **argv);
int command_collections(int argc, char **argv);
int command_audit(int argc, char **argv);
int command_doctor(int argc, char **argv);

#endif
