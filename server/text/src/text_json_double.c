/*
 * Shortest digits in two ways. Most numbers that people store have few digits behind the point: for
 * those the value times a power of ten is an integer below 10^15, and when dividing that integer by
 * the power gives the value back, its digits are the shortest: no two decimals of at most 15 digits
 * round to the same double, and the smallest power is tried first. All others are printed with 15,
 * 16 and 17 digits until one reads back as the same double.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text_json_writer.h"

struct decimal {
	char digits[20]; /* without trailing zeros, unless it is "0" */
	int n;
	int point; /* the value is 0.DIGITS times 10^point */
};

static void set_integer(struct decimal *d, uint64_t value, int scale)
{
	char text[20];
	int at = 20;

	for (; value; value /= 10)
		text[--at] = (char)('0' + value % 10);
	d->n = 20 - at;
	memcpy(d->digits, text + at, (size_t)d->n);
	d->point = d->n - scale;
	while (d->n > 1 && d->digits[d->n - 1] == '0')
		d->n--;
}

static bool find_few_digits(double value, struct decimal *d)
{
	static const double power_of_ten[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8 };

	for (int scale = 0; scale < (int)(sizeof power_of_ten / sizeof power_of_ten[0]); scale++) {
		double scaled = value * power_of_ten[scale];
		if (scaled >= 1e15)
			return false;
		uint64_t integer = (uint64_t)(scaled + 0.5);
		if (integer > 0 && (double)integer / power_of_ten[scale] == value) {
			set_integer(d, integer, scale);
			return true;
		}
	}
	return false;
}

/* Reads the "d.ddde+x" of printf. */
static void set_printed(struct decimal *d, const char *text)
{
	d->n = 0;
	for (; *text != 'e'; text++)
		if (*text != '.')
			d->digits[d->n++] = *text;
	d->point = (int)strtol(text + 1, NULL, 10) + 1;
	while (d->n > 1 && d->digits[d->n - 1] == '0')
		d->n--;
}

/* Below a power of two doubles lie twice as dense, so there the nearest decimal may miss while the
 * next one up still reads back: the last digit is raised once and tried. */
static bool raise_last_digit(char *text, double value)
{
	char *last = strchr(text, 'e') - 1;

	if (*last == '9')
		return false;
	++*last;
	return strtod(text, NULL) == value;
}

static void find_digits(double value, struct decimal *d)
{
	char text[40];
	int exponent;
	bool is_power_of_two = frexp(value, &exponent) == 0.5;

	/* Up to 15 digits a shorter decimal only shows as zeros at the end of a longer one; but
	 * below the smallest normal number doubles lie so far apart that the lengths have to be
	 * tried one by one. */
	for (int precision = value < 0x1p-1022 ? 0 : 14; precision <= 16; precision++) {
		(void)snprintf(text, sizeof text, "%.*e", precision, value);
		if (strtod(text, NULL) == value ||
			(is_power_of_two && raise_last_digit(text, value)))
			break;
	}
	set_printed(d, text);
}

static size_t put(char *out, const char *text, int n)
{
	memcpy(out, text, (size_t)n);
	return (size_t)n;
}

static size_t put_zeros(char *out, int n)
{
	memset(out, '0', (size_t)n);
	return (size_t)n;
}

/* The layout of ECMAScript's Number::toString, but for integers that no int64 holds. */
static size_t lay_out(const struct decimal *d, bool is_huge, char *out)
{
	size_t n = 0;
	int k = d->n, point = d->point;

	if (!is_huge && k <= point && point <= 21) {
		n += put(out, d->digits, k);
		n += put_zeros(out + n, point - k);
	} else if (!is_huge && point > 0 && point <= 21) {
		n += put(out, d->digits, point);
		out[n++] = '.';
		n += put(out + n, d->digits + point, k - point);
	} else if (point > -6 && point <= 0) {
		n += put(out, "0.", 2);
		n += put_zeros(out + n, -point);
		n += put(out + n, d->digits, k);
	} else {
		out[n++] = d->digits[0];
		if (k > 1) {
			out[n++] = '.';
			n += put(out + n, d->digits + 1, k - 1);
		}
		n += (size_t)snprintf(out + n, 8, "e%+d", point - 1);
	}
	return n;
}

size_t text_json_format_double(double number, char out[static TEXT_JSON_DOUBLE_BYTES])
{
	struct decimal d = { 0 };
	size_t n = 0;

	if (number - number != 0)
		return put(out, "null", 4);
	if (number == 0)
		return put(out, "0", 1);
	if (number < 0)
		out[n++] = '-';
	double value = fabs(number);
	if (!find_few_digits(value, &d))
		find_digits(value, &d);
	/* As digits alone it would be an integer; -2^63 fits, but not worth an exception. */
	return n + lay_out(&d, value >= 0x1p63, out + n);
}
