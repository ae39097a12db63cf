/* grammar-number.c - a number of JSON, digit by digit, that can still come to lie within its
 * limits.  See grammar.h
 *
 * A number has at most so many digits, so what may become of its beginning are finitely many: all
 * digits that are left behind the point, or some of them in front of it.  Each such way is a range
 * of integers over a power of ten, in order, and a search by halves finds whether one of them is
 * within the limits.  So there is always a way on, or the digit was refused. */
#include "text/grammar.h"

enum phase { START, MINUS, ZERO, INTEGER, POINT, FRACTION, E, E_SIGN, EXPONENT };

/* Of a number, frames use: at: digits; first: decimals, then digits of the exponent; mark:
 * whether it is negative. */
enum { NEGATIVE = 1, INTEGER_DIGITS = 18, REAL_DIGITS = 15, EXPONENT_DIGITS = 2 };

static uint32_t most_digits(const struct grammar_node *n)
{
	return n->integer ? INTEGER_DIGITS : REAL_DIGITS;
}

/* 10^n: whole numbers, up to 10^18 and beyond exact. */
static int64_t ten(uint32_t n)
{
	int64_t x = 1;

	while (n-- > 0)
		x *= 10;
	return x;
}

/* digits / 10^decimals, rounded once, as whoever reads the number rounds it. */
static double value(const struct grammar_frame *f, int64_t digits, uint32_t decimals)
{
	const double x = (double)digits / (double)ten(decimals);

	return f->mark & NEGATIVE ? -x : x;
}

static bool above(const struct grammar_node *n, double x)
{
	return n->above ? x > n->low : x >= n->low;
}

static bool below(const struct grammar_node *n, double x)
{
	return n->below ? x < n->high : x <= n->high;
}

/* Is one of from, ..., to over 10^decimals within the limits?  What is far enough from 0 is a
 * beginning of the range, or all of it. */
static bool any_within(const struct grammar_frame *f, int64_t from, int64_t to, uint32_t decimals)
{
	const struct grammar_node *n = f->node;
	const bool                 negative = f->mark & NEGATIVE;

	while (from < to) {
		const int64_t middle = from + (to - from) / 2;
		const double  x = value(f, middle, decimals);

		if (negative ? below(n, x) : above(n, x))
			to = middle;
		else
			from = middle + 1;
	}
	return above(n, value(f, from, decimals)) && below(n, value(f, from, decimals));
}

/* Can the number still come to lie within its limits? */
static bool hopeful(const struct grammar_frame *f)
{
	const uint32_t left = most_digits(f->node) - f->at;
	const int64_t  from = f->digits, to = f->digits + 1;
	const bool     in_front = f->phase == INTEGER;

	if (f->phase == POINT || f->phase == FRACTION)
		return any_within(f, from * ten(left), to * ten(left) - 1, f->first + left);
	/* `more` digits in front of the point, and where there is one all others behind it. */
	for (uint32_t more = 0; more <= (in_front ? left : 0); more++) {
		const uint32_t all = f->node->integer ? more : left;

		if (any_within(f, from * ten(all), to * ten(all) - 1, all - more))
			return true;
	}
	return false;
}

static bool begins(const struct grammar_node *n, uint32_t mark)
{
	for (int d = 0; d < 10; d++) {
		const struct grammar_frame f = {
			.node = n, .phase = d ? INTEGER : ZERO, .at = 1, .digits = d, .mark = mark
		};

		if (hopeful(&f))
			return true;
	}
	return false;
}

bool number_exists(const struct grammar_node *n)
{
	return !n->limited || begins(n, 0) || begins(n, NEGATIVE);
}

static bool digit(struct grammar_frame *f, int d)
{
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
	if (f->at == most_digits(f->node))
		return false;
	f->at++;
	f->digits = 10 * f->digits + d;
	f->first = (uint16_t)(f->first + (f->phase == FRACTION));
	return !f->node->limited || hopeful(f);
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
		return !n->limited || begins(n, NEGATIVE);
	}
	if (c == '.' && !n->integer && (p == ZERO || p == INTEGER) && f->at < REAL_DIGITS) {
		f->phase = POINT;
		return !n->limited || hopeful(f);
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
	const struct grammar_node *n = f->node;
	double                     x;

	switch ((enum phase)f->phase) {
	case ZERO:
	case INTEGER:
	case FRACTION:
		x = value(f, f->digits, f->first);
		return !n->limited || (above(n, x) && below(n, x));
	case EXPONENT: return true;
	case START:
	case MINUS:
	case POINT:
	case E:
	case E_SIGN:
	default: return false;
	}
}
