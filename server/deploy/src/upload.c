#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"
#include "keeper.h"

/* ---- bytes into a sealed memfd, hashed there ---- */

/* The hash is of the sealed copy: nobody can change it between the check and the use. */
static int hash_memfd(int fd, size_t n, char out[static PLUGIN_SHA256_HEX + 1], struct err *err)
{
	uint8_t digest[HASH_BYTES];
	void *map = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return ERR_SET(err, ERR_IO, "cannot map a plugin's file");
	hash_of((struct bytes){ map, n }, digest);
	munmap(map, n);
	bytes_hex((struct bytes){ (const char *)digest, sizeof digest }, out);
	out[PLUGIN_SHA256_HEX] = 0;
	return 0;
}

static int take_file(struct act *act, struct err *err)
{
	if (act->file.n == 0)
		return ERR_SET(err, ERR_INVALID, "the file is empty");
	act->size_bytes = act->file.n;
	if (memfd_make(act->file, &act->fd, err) < 0)
		return -1;
	return hash_memfd(act->fd, act->file.n, act->sha256, err);
}

static int read_file(int fd, struct bytes_buf *out, struct err *err)
{
	for (;;) {
		char *to = bytes_buf_reserve(out, 65536);
		if (!to)
			return ERR_SET(err, ERR_LIMIT, "a plugin's file is too big");
		ssize_t n = read(fd, to, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_SET(err, ERR_IO, "cannot read a plugin's file");
		if (n == 0)
			return 0;
		out->n += (size_t)n;
	}
}

int upload_load_artifact(struct act *act, struct err *err)
{
	int fd;
	char sha256[PLUGIN_SHA256_HEX + 1];
	DEFER(bytes_buf_fini) struct bytes_buf file = { 0 };
	bytes_buf_init(&file, 65u << 20);
	if (plugin_artifact_open(act->deploy->artifact_folder, act->sha256, &fd, err) < 0)
		return -1;
	int result = read_file(fd, &file, err);
	close(fd);
	if (result < 0 || memfd_make(bytes_buf_view(&file), &act->fd, err) < 0)
		return -1;
	if (file.n == 0 || hash_memfd(act->fd, file.n, sha256, err) < 0)
		return ERR_SET(err, ERR_CORRUPT, "the kept file %s is empty", act->sha256);
	if (strcmp(sha256, act->sha256) != 0)
		return ERR_SET(err, ERR_CORRUPT,
			"the kept file %.12s... has been changed: upload the plugin again",
			act->sha256);
	act->size_bytes = file.n;
	return 0;
}

enum store_outcome upload_read_version(struct act *act, struct store_conn *conn)
{
	DEFER(arena_free) struct arena *arena = NULL;
	struct bytes manifest;
	uint64_t size;
	if (arena_new(1u << 20, &arena, &act->err) < 0)
		return STORE_FAULT;
	enum store_outcome outcome =
		plugin_catalogue_get_version(conn, act->sha256, arena, &manifest, &size);
	if (outcome != STORE_OK)
		return outcome;
	if (!manifest.p) {
		ERR_SET(&act->err, ERR_CORRUPT, "the catalogue does not know %.12s...",
			act->sha256);
		return STORE_REFUSED;
	}
	if (plugin_version_new(manifest, act->sha256, size, &act->version, &act->err) < 0)
		return STORE_REFUSED;
	return STORE_OK;
}

/* ---- the chain of an upload ---- */
static void on_catalogued(struct act *act)
{
	if (act_has_failed(act))
		return;
	act_record(act, "plugin.verified", AUDIT_ALLOWED, NULL);
	act_enqueue(act, act->deployment);
}

static enum store_outcome put_version(struct act *act, struct store_conn *conn)
{
	enum store_outcome outcome = plugin_catalogue_put_version(conn, act->version);
	if (outcome == STORE_OK)
		outcome = plugin_catalogue_put_step(conn, tenant_name(act->tenant),
			act->deployment->plugin, act->sha256, "verified", "");
	return outcome;
}

static void on_artifact_kept(struct act *act)
{
	if (act_has_failed(act))
		return;
	act_on_control(act, true, put_version, on_catalogued);
}

static int keep_artifact(struct act *act, struct err *err)
{
	return plugin_artifact_put(act->deploy->artifact_folder, act->sha256, act->file, err);
}

static void on_inspected(struct act *act)
{
	if (act_has_failed(act))
		return;
	DEFER(bytes_buf_fini) struct bytes_buf manifest = { 0 };
	bytes_buf_init(&manifest, PLUGIN_MANIFEST_MAX);
	if (inspect_read_verdict(bytes_buf_view(&act->inspection.out), &manifest, &act->err) < 0 ||
		plugin_version_new(bytes_buf_view(&manifest), act->sha256, act->size_bytes,
			&act->version, &act->err) < 0) {
		act_has_failed(act);
		return;
	}
	/* What was quoted is not needed any more: 100 deployments must not leave 100 verdicts. */
	bytes_buf_fini(&act->inspection.out);
	act->deployment = keeper_need(
		act->deploy, bytes_of(tenant_name(act->tenant)), act->version->manifest.id);
	if (!act->deployment) {
		act_end(act, DEPLOY_FAULT, "no memory for a deployment");
		return;
	}
	act->deployment->n_acts++;
	act_on_files(act, keep_artifact, on_artifact_kept);
}

static void on_file_taken(struct act *act)
{
	if (act_has_failed(act))
		return;
	act_record(act, "plugin.upload", AUDIT_ALLOWED, NULL);
	inspect_begin(act, on_inspected);
}

void upload_begin(struct act *act)
{
	act->file = act->request->file;
	act->grant_all = act->request->grant_all;
	act_on_files(act, take_file, on_file_taken);
}
