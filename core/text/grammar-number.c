/* grammar-number.c - a number of JSON, digit by digit, that can still come to lie within its
 * limits.  See grammar.h
 *
 * What stands so far is digits / 10^decimals.  More digits bring it to any number from there up to
 * one more in the last place; while there is no point, to ten times that as well, and so on.  So
 * a digit is refused at once when no number within the limits begins with it. */
#include "text/grammar.h"

#include <math.h>

enum phase { START, MINUS, ZERO, INTEGER, POINT, FRACTION, E, E_SIGN, EXPONENT };

enum { NEGATIVE = 1, INTEGER_DIGITS = 18, REAL_DIGITS = 15, EXPONENT_DIGITS = 2 };

/* Of a number, frames use: at: digits; first: decimals, then digits of the exponent; mark:
 * whether it is negative. */

static bool within(const struct grammar_node *n, double x)
{
	return (n->above ? x > n->low : x >= n->low) && (n->below ? x < n->high : x <= n->high);
}

static double value(const struct grammar_frame *f)
{
	const double x = (double)f->digits / pow(10, f->first);

	return f->mark & NEGATIVE ? -x : x;
}

/* Is there a number within the limits from x to less than x + width, away from 0? */
static bool meets(const struct grammar_frame *f, double x, double width)
{
	const struct grammar_node *n = f->node;
	const double               a = f->mark & NEGATIVE ? -x - width : x, b = a + width;
	const double               from = a > n->low ? a : n->low, to = b < n->high ? b : n->high;
	double                     first;

	if (within(n, f->mark & NEGATIVE ? -x : x))
		return true;
	if (!n->integer)
		return from < to;
	first = ceil(from);
	if (first == a && f->mark & NEGATIVE) /* the far end is not part of it */
		first++;
	if (first == n->low && n->above)
		first++;
	return within(n, first) && (f->mark & NEGATIVE ? first <= b : first < b);
}

/* Can this still become a number within the limits? */
static bool hopeful(const struct grammar_frame *f)
{
	const uint32_t most = f->node->integer ? INTEGER_DIGITS : REAL_DIGITS;
	double         x = (double)f->digits, width = 1;

	if (!f->node->limited)
		return true;
	if (f->phase == MINUS)
		return f->node->low < 0 || within(f->node, 0);
	if (f->phase == POINT || f->phase == FRACTION)
		return meets(f, x / pow(10, f->first), pow(10, -(double)f->first));
	if (f->phase == ZERO)
		return meets(f, 0, 1);
	for (uint32_t n = f->at; n <= most; n++, x *= 10, width *= 10)
		if (meets(f, x, width))
			return true;
	return false;
}

static bool digit(struct grammar_frame *f, int d)
{
	const uint32_t most = f->node->integer ? INTEGER_DIGITS : REAL_DIGITS;

	switch ((enum phase)f->phase) {
	case START:
	case MINUS: f->phase = d ? INTEGER : ZERO; break;
	case INTEGER: break;
	case POINT: f->phase = FRACTION; break;
	case FRACTION: break;
	case E:
	case E_SIGN:
		f->phase = EXPONENT;
		f->first = 1;
		return true;
	case EXPONENT: return f->first++ < EXPONENT_DIGITS;
	case ZERO:
	default: return false;
	}
	if (f->at == most)
		return false;
	f->at++;
	f->digits = 10 * f->digits + d;
	f->first = (uint16_t)(f->first + (f->phase == FRACTION));
	return hopeful(f);
}

bool number_put(struct grammar_frame *f, unsigned char c)
{
	const struct grammar_node *n = f->node;
	const enum phase           p = (enum phase)f->phase;

	if (c >= '0' && c <= '9')
		return digit(f, c - '0');
	if (c == '-' && p == START) {
		f->mark |= NEGATIVE;
		f->phase = MINUS;
		return hopeful(f);
	}
	if (c == '.' && !n->integer && (p == ZERO || p == INTEGER) && f->at < REAL_DIGITS) {
		f->phase = POINT;
		return hopeful(f);
	}
	if ((c == 'e' || c == 'E') && !n->integer && !n->limited &&
	    (p == ZERO || p == INTEGER || p == FRACTION)) {
		f->phase = E;
		return true;
	}
	if ((c == '+' || c == '-') && p == E) {
		f->phase = E_SIGN;
		return true;
	}
	return false;
}

bool number_whole(const struct grammar_frame *f)
{
	switch ((enum phase)f->phase) {
	case ZERO:
	case INTEGER:
	case FRACTION: return !f->node->limited || within(f->node, value(f));
	case EXPONENT: return true;
	case START:
	case MINUS:
	case POINT:
	case E:
	case E_SIGN:
	default: return false;
	}
}
