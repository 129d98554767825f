#include "file_type.h"

#include <string.h>

struct magic {
	unsigned char offset, n;
	const char *bytes;
	const char *type, *extension;
};

#define MAGIC(offset, bytes, type, extension)                                                      \
	{                                                                                          \
		offset, sizeof(bytes) - 1, bytes, type, extension                                  \
	}

/* The first row that fits counts. */
static const struct magic magics[] = {
	MAGIC(0, "\x89PNG\r\n\x1a\n", "image/png", ".png"),
	MAGIC(0, "\xff\xd8\xff", "image/jpeg", ".jpg"),
	MAGIC(0, "GIF87a", "image/gif", ".gif"),
	MAGIC(0, "GIF89a", "image/gif", ".gif"),
	MAGIC(8, "WEBPVP8", "image/webp", ".webp"),
	MAGIC(4, "ftypavif", "image/avif", ".avif"),
	MAGIC(4, "ftypheic", "image/heic", ".heic"),
	MAGIC(4, "ftypheix", "image/heic", ".heic"),
	MAGIC(4, "ftypmif1", "image/heif", ".heif"),
	MAGIC(0, "BM", "image/bmp", ".bmp"),
	MAGIC(0, "\0\0\1\0", "image/x-icon", ".ico"),
	MAGIC(0, "II*\0", "image/tiff", ".tiff"),
	MAGIC(0, "MM\0*", "image/tiff", ".tiff"),
	MAGIC(0, "8BPS", "image/vnd.adobe.photoshop", ".psd"),
	MAGIC(0, "%PDF-", "application/pdf", ".pdf"),
	MAGIC(4, "ftypM4A", "audio/x-m4a", ".m4a"),
	MAGIC(4, "ftypqt", "video/quicktime", ".mov"),
	MAGIC(4, "ftyp3gp", "video/3gpp", ".3gp"),
	MAGIC(4, "ftyp", "video/mp4", ".mp4"),
	MAGIC(0, "\x1a\x45\xdf\xa3", "video/webm", ".webm"),
	MAGIC(8, "AVI LIST", "video/x-msvideo", ".avi"),
	MAGIC(8, "WAVE", "audio/wav", ".wav"),
	MAGIC(8, "AIFF", "audio/aiff", ".aiff"),
	MAGIC(0, "ID3", "audio/mpeg", ".mp3"),
	MAGIC(0, "\xff\xfb", "audio/mpeg", ".mp3"),
	MAGIC(0, "\xff\xf3", "audio/mpeg", ".mp3"),
	MAGIC(0, "\xff\xf2", "audio/mpeg", ".mp3"),
	MAGIC(0, "\xff\xf1", "audio/aac", ".aac"),
	MAGIC(0, "\xff\xf9", "audio/aac", ".aac"),
	MAGIC(0, "fLaC", "audio/flac", ".flac"),
	MAGIC(0, "OggS", "audio/ogg", ".ogg"),
	MAGIC(0, "MThd", "audio/midi", ".midi"),
	MAGIC(30, "mimetypeapplication/epub+zip", "application/epub+zip", ".epub"),
	MAGIC(30, "mimetypeapplication/vnd.oasis.opendocument.text",
		"application/vnd.oasis.opendocument.text", ".odt"),
	MAGIC(30, "mimetypeapplication/vnd.oasis.opendocument.spreadsheet",
		"application/vnd.oasis.opendocument.spreadsheet", ".ods"),
	MAGIC(30, "mimetypeapplication/vnd.oasis.opendocument.presentation",
		"application/vnd.oasis.opendocument.presentation", ".odp"),
	MAGIC(0, "PK\3\4", "application/zip", ".zip"),
	MAGIC(0, "PK\5\6", "application/zip", ".zip"),
	MAGIC(0, "\x1f\x8b", "application/gzip", ".gz"),
	MAGIC(0, "BZh", "application/x-bzip2", ".bz2"),
	MAGIC(0,
		"\xfd"
		"7zXZ\0",
		"application/x-xz", ".xz"),
	MAGIC(0, "\x28\xb5\x2f\xfd", "application/zstd", ".zst"),
	MAGIC(0, "7z\xbc\xaf\x27\x1c", "application/x-7z-compressed", ".7z"),
	MAGIC(0, "Rar!\x1a\x07", "application/x-rar-compressed", ".rar"),
	MAGIC(0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage", ""),
	MAGIC(0, "SQLite format 3\0", "application/vnd.sqlite3", ".sqlite"),
	MAGIC(0, "\0asm", "application/wasm", ".wasm"),
	MAGIC(0, "wOFF", "font/woff", ".woff"),
	MAGIC(0, "wOF2", "font/woff2", ".woff2"),
	MAGIC(0, "OTTO", "font/otf", ".otf"),
	MAGIC(0, "\0\1\0\0\0", "font/ttf", ".ttf"),
	MAGIC(0,
		"\x7f"
		"ELF",
		"application/x-elf", ""),
	MAGIC(0, "MZ", "application/vnd.microsoft.portable-executable", ".exe"),
	MAGIC(0, "{\\rtf", "text/rtf", ".rtf"),
	MAGIC(0, "%!PS-Adobe-", "application/postscript", ".ps"),
};
#define N_MAGICS (sizeof magics / sizeof magics[0])

/* Types that are told otherwise than by bytes at one place. */
static const struct {
	const char *type, *extension;
} others[] = {
	{ "text/plain", ".txt" },
	{ "text/html", ".html" },
	{ "text/xml", ".xml" },
	{ "image/svg+xml", ".svg" },
	{ "application/json", ".json" },
	{ "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx" },
	{ "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx" },
	{ "application/vnd.openxmlformats-officedocument.presentationml.presentation", ".pptx" },
};
enum other { TEXT_PLAIN, TEXT_HTML, TEXT_XML, SVG, JSON, DOCX, XLSX, PPTX };

/* RIFF and FORM carry their kind at byte 8; without the frame those bytes mean nothing. */
static bool has_frame(struct bytes head)
{
	return head.n >= 12 && (memcmp(head.p, "RIFF", 4) == 0 || memcmp(head.p, "FORM", 4) == 0);
}

static bool fits(const struct magic *magic, struct bytes head)
{
	if (magic->offset == 8 && !has_frame(head))
		return false;
	if (magic->offset == 30 && (head.n < 4 || memcmp(head.p, "PK\3\4", 4) != 0))
		return false;
	return head.n >= (size_t)magic->offset + magic->n &&
	       memcmp(head.p + magic->offset, magic->bytes, magic->n) == 0;
}

static bool holds(struct bytes head, const char *word)
{
	return memmem(head.p, head.n, word, strlen(word));
}

static const char *zip_type(struct bytes head)
{
	if (holds(head, "word/"))
		return others[DOCX].type;
	if (holds(head, "xl/"))
		return others[XLSX].type;
	if (holds(head, "ppt/"))
		return others[PPTX].type;
	return "application/zip";
}

/* Text has no control characters but those that lay it out. */
static bool is_text(struct bytes head)
{
	for (size_t i = 0; i < head.n; i++) {
		unsigned char c = (unsigned char)head.p[i];
		if ((c < 0x20 && !(c >= '\t' && c <= '\r') && c != 0x1b) || c == 0x7f)
			return false;
	}
	return true;
}

static bool begins_with_tag(struct bytes text, const char *tag)
{
	size_t n = strlen(tag);

	return text.n > n &&
	       bytes_eq_nocase((struct bytes){ text.p, n }, (struct bytes){ tag, n }) &&
	       (text.p[n] == ' ' || text.p[n] == '>' || text.p[n] == '\n' || text.p[n] == '\r' ||
		       text.p[n] == '\t');
}

static const char *text_type(struct bytes head)
{
	static const char *const tags[] = { "<!doctype html", "<html", "<head", "<script",
		"<iframe", "<body", "<table", "<title", "<style", "<div", "<h1", "<p", "<a", "<br",
		"<b", "<font", "<!--" };
	struct bytes text = head;

	if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
		text = (struct bytes){ text.p + 3, text.n - 3 };
	while (text.n && (text.p[0] == ' ' || (text.p[0] >= '\t' && text.p[0] <= '\r')))
		text = (struct bytes){ text.p + 1, text.n - 1 };
	if (begins_with_tag(text, "<svg") ||
		((begins_with_tag(text, "<?xml") || begins_with_tag(text, "<!doctype svg")) &&
			holds(text, "<svg")))
		return others[SVG].type;
	if (begins_with_tag(text, "<?xml"))
		return others[TEXT_XML].type;
	for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
		if (begins_with_tag(text, tags[i]))
			return others[TEXT_HTML].type;
	/* Not parsed: what looks like an object with members, or like a list of values. */
	if (text.n > 1 &&
		((text.p[0] == '{' && (holds(text, "\":") || text.p[1] == '}')) ||
			(text.p[0] == '[' && strchr("]{[\"-0123456789tfn \n", text.p[1]))))
		return others[JSON].type;
	return others[TEXT_PLAIN].type;
}

const char *file_type_of(struct bytes head)
{
	if (head.n > FILE_TYPE_HEAD)
		head.n = FILE_TYPE_HEAD;
	for (size_t i = 0; i < N_MAGICS; i++)
		if (fits(&magics[i], head)) {
			/* Two letters are not much: text may begin with them as well. */
			if (magics[i].n == 2 && magics[i].bytes[0] > 0 && is_text(head))
				continue;
			return strcmp(magics[i].extension, ".zip") == 0 ? zip_type(head)
									: magics[i].type;
		}
	if (head.n == 0)
		return others[TEXT_PLAIN].type;
	return is_text(head) ? text_type(head) : "application/octet-stream";
}

const char *file_type_extension(const char *type)
{
	for (size_t i = 0; i < N_MAGICS; i++)
		if (strcmp(magics[i].type, type) == 0)
			return magics[i].extension;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (strcmp(others[i].type, type) == 0)
			return others[i].extension;
	return "";
}

const char *file_type_of_answer(const char *type, struct bytes name)
{
	static const struct {
		struct bytes extension;
		const char *type;
	} rows[] = {
		{ { ".css", 4 }, "text/css; charset=utf-8" },
		{ { ".csv", 4 }, "text/csv; charset=utf-8" },
		{ { ".js", 3 }, "text/javascript; charset=utf-8" },
		{ { ".mjs", 4 }, "text/javascript; charset=utf-8" },
		{ { ".json", 5 }, "application/json" },
		{ { ".md", 3 }, "text/markdown; charset=utf-8" },
		{ { ".vtt", 4 }, "text/vtt; charset=utf-8" },
	};

	if (strncmp(type, "text/", 5) != 0)
		return type;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t n = rows[i].extension.n;
		if (name.n > n && bytes_eq_nocase((struct bytes){ name.p + name.n - n, n },
					  rows[i].extension))
			return rows[i].type;
	}
	return strcmp(type, "text/plain") == 0 ? "text/plain; charset=utf-8" : type;
}

bool file_type_is_inline(const char *type)
{
	static const char *const types[] = { "image/png", "image/jpeg", "image/gif", "image/webp",
		"image/avif", "image/x-icon", "image/bmp", "video/webm", "video/mp4", "video/3gpp",
		"video/quicktime", "audio/aiff", "audio/mpeg", "audio/midi", "audio/wav",
		"audio/x-m4a", "audio/aac", "audio/flac", "audio/ogg", "application/pdf" };

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (strcmp(types[i], type) == 0)
			return true;
	return false;
}
