/* test-logps.c - log-probabilities, entropies and gradients of tokens against TRL. */
#include "tensor/nn.h"

#include "golden.h"
#include "runner.h"

#include <math.h>
#include <string.h>

/* Values in f64 against sums in f32: a few roundings of numbers of about 10. */
#define BOUND 2e-6

struct vectors {
	int64_t  batch, length, vocabulary, rows;
	float   *logits, *identity, *coef, *logp, *entropy, *gradient;
	int32_t *label;
};

static const json_t *at(const json_t *list, int64_t i)
{
	const json_t *v = json_array_get(list, (size_t)i);

	ck_assert_ptr_nonnull(v);
	return v;
}

static float *floats(int64_t n)
{
	float *x = calloc((size_t)n, sizeof *x);

	ck_assert_ptr_nonnull(x);
	return x;
}

/* Logits at i score the label at i + 1; the last position scores nothing. */
static struct vectors read_inputs(const json_t *in)
{
	const json_t *logits = json_object_get(in, "logits"),
		     *labels = json_object_get(in, "labels");
	struct vectors v = { golden_int(in, "batch"), golden_int(in, "length"),
		             golden_int(in, "vocab"), .label = NULL };

	v.rows = v.batch * v.length;
	v.logits = floats(v.rows * v.vocabulary);
	v.gradient = floats(v.rows * v.vocabulary);
	v.identity = floats(v.vocabulary * v.vocabulary);
	v.coef = floats(v.rows);
	v.logp = floats(v.rows);
	v.entropy = floats(v.rows);
	v.label = calloc((size_t)v.rows, sizeof *v.label);
	for (int64_t i = 0; i < v.vocabulary; i++)
		v.identity[i * v.vocabulary + i] = 1.0f;
	for (int64_t r = 0; r < v.rows; r++) {
		const int64_t b = r / v.length, t = r % v.length;

		v.coef[r] = 1.0f;
		v.label[r] = t + 1 < v.length
		                     ? (int32_t)json_integer_value(at(at(labels, b), t + 1))
		                     : RT_IGNORE;
		for (int64_t k = 0; k < v.vocabulary; k++)
			v.logits[r * v.vocabulary + k] =
				(float)json_number_value(at(at(at(logits, b), t), k));
	}
	return v;
}

static void free_inputs(struct vectors *v)
{
	free(v->logits);
	free(v->gradient);
	free(v->identity);
	free(v->coef);
	free(v->logp);
	free(v->entropy);
	free(v->label);
}

static void compare(const struct vectors *v, const json_t *c)
{
	const json_t *logp = json_object_get(c, "token_logps"),
		     *entropy = json_object_get(c, "entropies");
	const json_t *gradient = json_object_get(c, "grad_sum_logps");

	for (int64_t r = 0; r < v->rows; r++) {
		const int64_t b = r / v->length, t = r % v->length;

		for (int64_t k = 0; k < v->vocabulary; k++)
			ck_assert_double_eq_tol(v->gradient[r * v->vocabulary + k],
			                        json_number_value(at(at(at(gradient, b), t), k)),
			                        BOUND);
		if (v->label[r] == RT_IGNORE)
			continue; /* TRL leaves 0 there */
		ck_assert_double_eq_tol(v->entropy[r], json_number_value(at(at(entropy, b), t)),
		                        4.0 * BOUND);
		ck_assert_double_eq_tol(v->logp[r], json_number_value(at(at(logp, b), t)),
		                        4.0 * BOUND);
	}
}

/* Logits go in as hidden states under an identity for a head. */
START_TEST(tokens_score_as_they_do_in_trl)
	{
		json_t          *j = golden_json("losses/logps.json");
		const json_t    *c;
		struct vectors   v;
		struct rt_tensor weight;
		size_t           i;

		if (!j)
			return;
		v = read_inputs(json_object_get(j, "inputs"));
		weight = rt_matrix(v.identity, v.vocabulary, v.vocabulary);
		ck_assert_uint_ge(json_array_size(json_object_get(j, "cases")), 1);
		json_array_foreach(json_object_get(j, "cases"), i, c)
		{
			const double t = json_number_value(json_object_get(c, "temperature"));
			const struct nn_head  head = { &weight, (float)(1.0 / t), 0, true, 0 };
			const struct nn_heads h = { v.logits, v.rows, 1, v.vocabulary,
				                    v.vocabulary };

			ck_assert_int_eq(nn_logps(&head, h, v.label, v.coef, v.logp, v.entropy,
			                          v.gradient, NULL, NULL),
			                 0);
			compare(&v, c);
		}
		free_inputs(&v);
		json_decref(j);
	}
END_TEST

RUNNER("logps", 60, { tcase_add_test(tc, tokens_score_as_they_do_in_trl); })
