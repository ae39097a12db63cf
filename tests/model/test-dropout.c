/* test-dropout.c - passes that leave elements out: loss and gradients of a whole model. */
#include "runner.h"

#include <retort/json.h>
#include <retort/model.h>

#include <math.h>
#include <string.h>

enum { TOKENS = 24, PARTS = 2 };

static const char small[] =
	"{\"model_type\":\"qwen3\",\"hidden_size\":64,\"num_hidden_layers\":2,"
	"\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":96,"
	"\"vocab_size\":200,\"max_position_embeddings\":64,\"tie_word_embeddings\":true,"
	"\"initializer_range\":0.1}";

struct bed {
	struct rt_model     *m;
	struct rt_tape      *tape;
	struct rt_gradients *g;
	int32_t              token[TOKENS], position[TOKENS], label[TOKENS];
	struct rt_span       spans[PARTS];
	struct rt_batch      batch;
	float               *hidden, *dhidden, coef[TOKENS], logp[TOKENS];
};

static void make(struct bed *b, bool recompute)
{
	struct rt_json *config = NULL;
	const int       half = TOKENS / PARTS;

	*b = (struct bed){ 0 };
	ck_assert_int_eq(rt_json_parse(small, sizeof small - 1, "c", 1, &config, NULL), 0);
	ck_assert_int_eq(rt_model_new(&b->m, config, 1, NULL), 0);
	rt_json_free(config);
	ck_assert_int_eq(rt_tape_new(&b->tape, recompute, NULL), 0);
	ck_assert_int_eq(rt_gradients_new(&b->g, b->m, NULL), 0);
	for (int i = 0; i < TOKENS; i++) {
		b->token[i] = i * 37 % 200;
		b->label[i] = i * 53 % 200;
		b->position[i] = i % half;
		b->coef[i] = -1;
	}
	for (int i = 0; i < PARTS; i++)
		b->spans[i] = (struct rt_span){ i * half, half, i * half, half, 0 };
	b->batch = (struct rt_batch){ b->token, b->position, TOKENS, b->spans, PARTS };
	b->hidden = calloc(TOKENS * 64, sizeof *b->hidden);
	b->dhidden = calloc(TOKENS * 64, sizeof *b->dhidden);
}

static void drop(struct bed *b)
{
	rt_gradients_free(b->g);
	rt_tape_free(b->tape);
	rt_model_close(b->m);
	free(b->hidden);
	free(b->dhidden);
}

/* Sum of -log p; with `learn` the gradients of it. */
static double loss(struct bed *b, struct rt_tape *tape, bool learn)
{
	double sum = 0;

	ck_assert_int_eq(rt_model_forward(b->m, &b->batch, tape, b->hidden, NULL), 0);
	ck_assert_int_eq(rt_model_logps(b->m, b->hidden, TOKENS, b->label, learn ? b->coef : NULL,
	                                b->logp, NULL, learn ? b->dhidden : NULL,
	                                learn ? b->g : NULL, NULL),
	                 0);
	if (learn)
		ck_assert_int_eq(rt_model_backward(b->m, &b->batch, tape, b->dhidden, b->g, NULL),
		                 0);
	for (int i = 0; i < TOKENS; i++)
		sum -= b->logp[i];
	return sum;
}

START_TEST(the_same_stream_leaves_out_the_same_and_none_leaves_nothing)
	{
		struct bed b;
		double     plain, first;

		make(&b, false);
		plain = loss(&b, NULL, false);
		ck_assert_double_eq(loss(&b, b.tape, false), plain);
		rt_tape_dropout(b.tape, .2, 7, 1);
		first = loss(&b, b.tape, false);
		ck_assert_double_ne(first, plain);
		ck_assert_double_eq(loss(&b, NULL, false), plain);
		rt_tape_dropout(b.tape, .2, 7, 2);
		ck_assert_double_ne(loss(&b, b.tape, false), first);
		rt_tape_dropout(b.tape, .2, 7, 1);
		ck_assert_double_eq(loss(&b, b.tape, false), first);
		rt_tape_dropout(b.tape, 0, 7, 1);
		ck_assert_double_eq(loss(&b, b.tape, false), plain);
		drop(&b);
	}
END_TEST

/* Along each parameter's own gradient g the loss grows by |g|^2 h: the central difference over h
 * says whether backward left out what forward did.  Of f32 passes: the loss, about 130, is right to
 * about 1e-5, and 2 h |g|^2 is .2; the third derivative brings as much. */
static void along_its_gradient(struct bed *b, int64_t i)
{
	const struct rt_tensor t = rt_model_parameter(b->m, i).tensor;
	const float           *g = rt_gradients_at(b->g, i);
	const int64_t          n = rt_numel(&t);
	float                 *w = t.data, *keep = malloc((size_t)n * sizeof *keep);
	double                 square = 0, h, up, down;

	for (int64_t k = 0; k < n; k++)
		square += (double)g[k] * (double)g[k];
	ck_assert_double_gt(square, 1e-6);
	h = .1 / square;
	memcpy(keep, w, (size_t)n * sizeof *w);
	for (int64_t k = 0; k < n; k++)
		w[k] = (float)(keep[k] + h * g[k]);
	up = loss(b, b->tape, false);
	for (int64_t k = 0; k < n; k++)
		w[k] = (float)(keep[k] - h * g[k]);
	down = loss(b, b->tape, false);
	memcpy(w, keep, (size_t)n * sizeof *w);
	free(keep);
	ck_assert_msg(fabs(up - down - .2) < 2e-4, "%s: %g instead of .2",
	              rt_model_parameter(b->m, i).name, up - down);
}

static const bool ways[] = { false, true }; /* with and without activations that are kept */

START_TEST(gradients_are_those_of_what_was_not_left_out)
	{
		struct bed b;

		make(&b, ways[_i]);
		rt_tape_dropout(b.tape, .2, 7, 1);
		loss(&b, b.tape, true);
		for (int64_t i = 0; i < rt_model_parameters(b.m); i++)
			along_its_gradient(&b, i);
		drop(&b);
	}
END_TEST

RUNNER("dropout", 120, {
	tcase_add_test(tc, the_same_stream_leaves_out_the_same_and_none_leaves_nothing);
	TABLE_TEST(tc, gradients_are_those_of_what_was_not_left_out, ways);
})
