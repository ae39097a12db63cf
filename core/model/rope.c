/* rope.c - frequencies of rotary positions and their tables.  See config.h
 *
 * Scalings as in Hugging Face: linear (Chen 2023), dynamic NTK (reddit user emozilla 2023),
 * llama3 (Llama 3.1, 2024), yarn (Peng 2023, equations 13, 19 to 23). */
#include "model/config.h"

#include <retort/memory.h>

#include <math.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

static double mscale(double factor, double m)
{
	return factor <= 1.0 ? 1.0 : 0.1 * m * log(factor) + 1.0;
}

/* YaRN multiplies cos and sin, so that attention gets sharper with the stretch. */
static double attention_factor(const struct model_config *c)
{
	const struct rt_json *s = rt_json_get(c->json, "rope_parameters");
	double                all, m, given;

	if (c->rope.kind != ROPE_YARN)
		return 1.0;
	if (rt_json_type(s) == RT_JSON_NULL)
		s = rt_json_get(c->json, "rope_scaling");
	given = rt_json_real(rt_json_get(s, "attention_factor"), 0.0);
	m = rt_json_real(rt_json_get(s, "mscale"), 0.0);
	all = rt_json_real(rt_json_get(s, "mscale_all_dim"), 0.0);
	if (given > 0.0)
		return given;
	if (m > 0.0 && all > 0.0)
		return mscale(c->rope.factor, m) / mscale(c->rope.factor, all);
	return mscale(c->rope.factor, 1.0);
}

/* The dimension that turns `rotations` times over the original context. */
static double dimension_of(const struct model_config *c, double rotations)
{
	return (double)c->head_dim * log((double)c->rope.original / (rotations * 2.0 * PI)) /
	       (2.0 * log(c->rope.theta));
}

static double yarn(const struct model_config *c, double plain, int64_t i)
{
	double low = dimension_of(c, c->rope.beta_fast), high = dimension_of(c, c->rope.beta_slow);
	double ramp;

	if (c->rope.truncate) {
		low = floor(low);
		high = ceil(high);
	}
	low = fmax(low, 0.0);
	high = fmin(high, (double)c->head_dim - 1.0);
	if (low == high)
		high += 0.001;
	ramp = fmin(fmax(((double)i - low) / (high - low), 0.0), 1.0);
	return plain / c->rope.factor * ramp + plain * (1.0 - ramp);
}

static double llama3(const struct model_config *c, double plain)
{
	const struct rope *p = &c->rope;
	const double       turns = (double)p->original * plain / (2.0 * PI);
	double             smooth;

	if (turns < p->low)
		return plain / p->factor;
	if (turns > p->high)
		return plain;
	smooth = (turns - p->low) / (p->high - p->low);
	return (1.0 - smooth) * plain / p->factor + smooth * plain;
}

static double frequency(const struct model_config *c, int64_t i, int64_t positions)
{
	const double exponent = 2.0 * (double)i / (double)c->head_dim;
	const double plain = pow(c->rope.theta, -exponent);

	if (c->rope.divisor)
		return plain / c->rope.divisor[i];
	switch (c->rope.kind) {
	case ROPE_LINEAR: return plain / c->rope.factor;
	case ROPE_LLAMA3: return llama3(c, plain);
	case ROPE_YARN: return yarn(c, plain, i);
	case ROPE_DYNAMIC:
		if (positions > c->rope.original && c->head_dim > 2) {
			const double stretch =
				c->rope.factor * (double)positions / (double)c->rope.original -
				(c->rope.factor - 1.0);
			const double d = (double)c->head_dim;

			return pow(c->rope.theta * pow(stretch, d / (d - 2.0)), -exponent);
		}
		return plain;
	default: return plain;
	}
}

int64_t config_reach(const struct model_config *c)
{
	const bool stretched = c->rope.kind == ROPE_DYNAMIC && c->rope.factor > 1;

	return stretched ? (int64_t)((double)c->rope.original * c->rope.factor) : c->context;
}

float *config_rope_divisor(const struct model_config *c)
{
	const int64_t half = c->head_dim / 2;
	float        *d;

	if (!c->rope.divisor && c->rope.kind != ROPE_LLAMA3)
		return NULL;
	d = rt_alloc((size_t)half, sizeof *d);
	for (int64_t i = 0; d && i < half; i++) {
		const double plain = pow(c->rope.theta, -2.0 * (double)i / (double)c->head_dim);

		d[i] = (float)(plain / frequency(c, i, 0));
	}
	return d;
}

/* Are these the divisors that llama3's scaling makes, for some number of original positions?  The
 * largest divisor is its factor, if any frequency is that low. */
static bool llama3_fits(struct model_config *c, const float *divisor, int64_t half)
{
	struct model_config try = *c;
	bool                same = false;

	try.rope.divisor = NULL;
	try.rope.kind = ROPE_LLAMA3;
	try.rope.low = 1;
	try.rope.high = 4;
	try.rope.factor = 1;
	for (int64_t i = 0; i < half; i++)
		try.rope.factor = fmax(try.rope.factor, (double)divisor[i]);
	for (try.rope.original = 16; !same && try.rope.original <= 1 << 20;) {
		float *d = config_rope_divisor(&try);

		same = d != NULL;
		for (int64_t i = 0; same && i < half; i++)
			same = fabsf(d[i] - divisor[i]) <= 1e-5f * divisor[i];
		rt_free(d);
		try.rope.original *= same ? 1 : 2;
	}
	if (same)
		c->rope = try.rope;
	return same;
}

int config_rope_adopt(struct model_config *c, const float *divisor, struct rt_error *err)
{
	const int64_t   half = c->head_dim / 2;
	struct rt_json *o;
	int             r;

	if (!llama3_fits(c, divisor, half)) {
		c->rope.divisor = rt_alloc((size_t)half, sizeof *divisor);
		if (!c->rope.divisor)
			return rt_fail_nomem(err, "a configuration");
		memcpy(c->rope.divisor, divisor, (size_t)half * sizeof *divisor);
		return 0;
	}
	o = rt_json_new_object();
	r = rt_json_set(o, "rope_type", rt_json_new_string("llama3"));
	r |= rt_json_set(o, "factor", rt_json_new_real(c->rope.factor));
	r |= rt_json_set(o, "low_freq_factor", rt_json_new_real(c->rope.low));
	r |= rt_json_set(o, "high_freq_factor", rt_json_new_real(c->rope.high));
	r |= rt_json_set(o, "original_max_position_embeddings", rt_json_new_int(c->rope.original));
	r |= rt_json_set(c->json, "rope_scaling", o);
	return r ? rt_fail_nomem(err, "a configuration") : 0;
}

void config_rope_tables(const struct model_config *c, const int32_t *position, int64_t rows,
                        int64_t length, float *cos_, float *sin_)
{
	const int64_t half = c->head_dim / 2;
	const double  factor = attention_factor(c);

	for (int64_t r = 0; r < rows; r++)
		length = position[r] >= length ? position[r] + 1 : length;
	for (int64_t i = 0; i < half; i++) {
		/* Rounded to float, as the reference keeps them. */
		const float f = (float)frequency(c, i, length);

		for (int64_t r = 0; r < rows; r++) {
			const double angle = (double)((float)position[r] * f);

			cos_[r * half + i] = (float)(cos(angle) * factor);
			sin_[r * half + i] = (float)(sin(angle) * factor);
		}
	}
}
