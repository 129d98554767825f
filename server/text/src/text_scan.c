#include "text_scan.h"

#include "text_utf8.h"

static enum text_json_verdict hex4(const char *p, const char *end, uint32_t *ret)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++) {
		if (p + i >= end)
			return TEXT_JSON_TRUNCATED;
		char c = p[i];
		uint32_t digit;
		if (c >= '0' && c <= '9')
			digit = (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (uint32_t)(c - 'a') + 10;
		else if (c >= 'A' && c <= 'F')
			digit = (uint32_t)(c - 'A') + 10;
		else
			return TEXT_JSON_ESCAPE;
		value = value << 4 | digit;
	}
	*ret = value;
	return TEXT_JSON_VALID;
}

/* The four digits after \u, with the low half of a pair when they are a high one. */
static enum text_json_verdict unicode(const char **p, const char *end, uint32_t *ret_character)
{
	const char *q = *p;
	uint32_t high, low;

	enum text_json_verdict verdict = hex4(q, end, &high);
	if (verdict != TEXT_JSON_VALID)
		return verdict;
	q += 4;
	if ((high & 0xfc00) == 0xdc00)
		return TEXT_JSON_SURROGATE;
	if ((high & 0xfc00) == 0xd800) {
		if (end - q < 2 || q[0] != '\\' || q[1] != 'u')
			return TEXT_JSON_SURROGATE;
		verdict = hex4(q + 2, end, &low);
		if (verdict != TEXT_JSON_VALID)
			return verdict;
		if ((low & 0xfc00) != 0xdc00)
			return TEXT_JSON_SURROGATE;
		q += 6;
		high = 0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
	}
	*ret_character = high;
	*p = q;
	return TEXT_JSON_VALID;
}

enum text_json_verdict text_scan_escape(const char **p, const char *end, uint32_t *ret_character)
{
	const char *q = *p + 1;

	if (q >= end)
		return TEXT_JSON_TRUNCATED;
	switch (*q++) {
	case '"':
		*ret_character = '"';
		break;
	case '\\':
		*ret_character = '\\';
		break;
	case '/':
		*ret_character = '/';
		break;
	case 'b':
		*ret_character = '\b';
		break;
	case 'f':
		*ret_character = '\f';
		break;
	case 'n':
		*ret_character = '\n';
		break;
	case 'r':
		*ret_character = '\r';
		break;
	case 't':
		*ret_character = '\t';
		break;
	case 'u': {
		enum text_json_verdict verdict = unicode(&q, end, ret_character);
		if (verdict != TEXT_JSON_VALID)
			return verdict;
		break;
	}
	default:
		return TEXT_JSON_ESCAPE;
	}
	*p = q;
	return TEXT_JSON_VALID;
}

int text_scan_next(struct text_scan_cursor *cursor)
{
	if (cursor->at < cursor->n)
		return (uint8_t)cursor->pending[cursor->at++];
	if (cursor->p >= cursor->end || *cursor->p == '"')
		return -1;
	if (*cursor->p != '\\')
		return (uint8_t)*cursor->p++;

	uint32_t character;
	if (text_scan_escape(&cursor->p, cursor->end, &character) != TEXT_JSON_VALID)
		return -1;
	cursor->n = (uint8_t)text_utf8_put(character, cursor->pending);
	cursor->at = 1;
	return (uint8_t)cursor->pending[0];
}
