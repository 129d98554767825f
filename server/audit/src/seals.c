#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format.h"

#define FILE_MAX (256u << 20)

struct file_data {
	uint8_t *p;
	size_t n;
};

static void file_data_fini_deferred(struct file_data *data)
{
	free(data->p);
}

static int read_file(int folder, uint64_t number, struct file_data *ret, struct err *err)
{
	char name[FILES_NAME_SIZE];
	struct stat st;

	files_name(FILES_SEALS, number, name);
	int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot open %s", name);
	int result = 0;
	if (fstat(fd, &st) != 0 || st.st_size > FILE_MAX)
		result = ERR_SET(err, ERR_IO, "%s is not of our size", name);
	else if (!(ret->p = malloc((size_t)st.st_size + 1)))
		result = ERR_SET(err, ERR_NOMEM, "no memory to read %s", name);
	while (result == 0 && ret->n < (size_t)st.st_size) {
		ssize_t got = read(fd, ret->p + ret->n, (size_t)st.st_size - ret->n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			result = ERR_SET(err, ERR_IO, "cannot read %s", name);
		if (got <= 0)
			break;
		ret->n += (size_t)got;
	}
	close(fd);
	return result;
}

/* A walk over the seals of one file. */
struct chain {
	uint64_t number; /* of the last good seal, 0 before the first */
	uint8_t hash[HASH_BYTES];
	uint64_t at, end; /* where the last good seal begins and ends */
	struct seal_lane lanes[JOURNAL_LANES];
};

/* Where a seal may begin from at on: at itself, or the next page when the rest of this one is zero.
 */
static uint64_t next_place(const struct file_data *data, uint64_t at)
{
	while (at + SEAL_HEADER <= data->n && get_u32(data->p + at) == 0)
		at = (at / SEAL_PAGE + 1) * SEAL_PAGE;
	return at;
}

/* Takes the seal at the given offset into the chain. */
static bool follow(struct chain *chain, const struct file_data *data, size_t limit, uint64_t at)
{
	struct seal seal;
	size_t length = at < limit ? seal_read(data->p + at, limit - at, &seal) : 0;

	if (length == 0)
		return false;
	if (chain->number == 0 ? !(seal.flags & SEAL_FLAG_ALL)
			       : seal.number != chain->number + 1 ||
					 memcmp(seal.previous, chain->hash, HASH_BYTES) != 0)
		return false;
	chain->number = seal.number;
	hash_of((struct bytes){ (const char *)data->p + at, length }, chain->hash);
	chain->at = at;
	chain->end = at + length;
	for (uint32_t i = 0; i < seal.n_lanes; i++)
		chain->lanes[seal.lanes[i].lane] = seal.lanes[i];
	return true;
}

static void walk(struct chain *chain, const struct file_data *data, size_t limit)
{
	*chain = (struct chain){ 0 };
	while (follow(chain, data, limit, next_place(data, chain->end)))
		;
}

static bool last_is_signed(
	const struct chain *chain, const struct file_data *data, const struct sign_key *key)
{
	return seal_is_signed(data->p + chain->at, chain->end - chain->at, key->public_key);
}

/* A power cut may tear the last seal: then the one before it must be good, and nothing may follow
 * the torn one's page. Each seal holds the hash of the one before, so the last signature vouches
 * for all. */
static int check_file(const struct audit *audit, const struct file_data *data, struct chain *ret,
	struct seals_tail *ret_tail, struct err *err)
{
	walk(ret, data, data->n);
	if (ret->number > 0 && !last_is_signed(ret, data, &audit->key)) {
		walk(ret, data, ret->at);
		if (ret->number > 0 && !last_is_signed(ret, data, &audit->key))
			return ERR_SET(err, ERR_CORRUPT,
				"the journal's seals are not signed with this server's key");
	}
	size_t end = data->n;
	while (end > ret->end && data->p[end - 1] == 0)
		end--;
	*ret_tail = (struct seals_tail){ .offset = ret->end, .n_bytes = end - ret->end };
	if (ret_tail->n_bytes > 2 * SEAL_PAGE)
		return ERR_SET(err, ERR_CORRUPT,
			"the journal's seals break at number %llu; run tenon-verify",
			(unsigned long long)(ret->number + 1));
	hash_of((struct bytes){ (const char *)data->p + ret->end, ret_tail->n_bytes },
		ret_tail->hash);
	return 0;
}

int seals_read(struct audit *audit, const struct files *files, struct seals_tail *ret_tail,
	struct err *err)
{
	size_t from, to;

	*ret_tail = (struct seals_tail){ 0 };
	files_of_lane(files, FILES_SEALS, &from, &to);
	for (; to > from; to--) {
		__attribute__((cleanup(file_data_fini_deferred))) struct file_data data = { 0 };
		struct chain chain;
		uint64_t number = files->entries[to - 1].number;

		if (read_file(audit->folder, number, &data, err) != 0 ||
			check_file(audit, &data, &chain, ret_tail, err) != 0)
			return -1;
		/* A kill between the file's birth and its first seal leaves it empty. */
		if (chain.number == 0)
			continue;
		audit->seal_file = number;
		atomic_store(&audit->seal, chain.number);
		memcpy(audit->seal_hash, chain.hash, HASH_BYTES);
		for (unsigned i = 0; i < JOURNAL_LANES; i++)
			audit->lanes[i].sealed = chain.lanes[i];
		return 0;
	}
	return 0;
}

int seals_cut(struct audit *audit, const struct seals_tail *tail, struct err *err)
{
	char name[FILES_NAME_SIZE];

	if (audit->seal_file == 0)
		return 0;
	files_name(FILES_SEALS, audit->seal_file, name);
	if (fchmodat(audit->folder, name, 0600, 0) != 0)
		return ERR_SET(err, ERR_IO, "cannot make %s writable", name);
	int fd = openat(audit->folder, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot open %s", name);
	int result = 0;
	if (ftruncate(fd, (off_t)tail->offset) != 0 || audit->os.sync(fd) != 0)
		result = ERR_SET(err, ERR_IO, "cannot cut %s", name);
	if (fchmod(fd, 0440) != 0 && result == 0)
		result = ERR_SET(err, ERR_IO, "cannot make %s read-only", name);
	close(fd);
	return result;
}
