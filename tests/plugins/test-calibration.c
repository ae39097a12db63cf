/* test-calibration.c - what stages see of a model: second moments and divergences, by plain sums.
 */
#include <retort/memory.h>
#include <retort/random.h>

#include "plugin/context.h"
#include "runner.h"
#include "stage/calibration.h"
#include "stage/divergence.h"

#include <math.h>
#include <string.h>

enum { VOCABULARY = 50, HIDDEN = 16, FORWARD = 24, QUERY = 32, SEQUENCES = 3 };

static const struct context_sink sink;
static struct rt_context         context = { .sink = &sink, .stage = "test" };

static const char shape[] =
	"{\"model_type\":\"qwen2\",\"hidden_size\":16,\"num_hidden_layers\":2,\"head_dim\":8,"
	"\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":24,"
	"\"vocab_size\":50,\"max_position_embeddings\":64,\"tie_word_embeddings\":true,"
	"\"initializer_range\":0.5}";

static struct rt_model *new_model(const char *text, uint64_t seed)
{
	struct rt_json  *config = NULL;
	struct rt_model *m = NULL;

	ck_assert_int_eq(rt_json_parse(text, strlen(text), "c", 1, &config, NULL), 0);
	ck_assert_int_eq(rt_model_new(&m, config, seed, NULL), 0);
	rt_json_free(config);
	return m;
}

/* Sequences of 7, 5 and 9 tokens, of which the last 3, 1 and 4 weigh. */
static struct rt_sequences new_sequences(void)
{
	static const int64_t length[SEQUENCES] = { 7, 5, 9 }, weighs[SEQUENCES] = { 3, 1, 4 };
	struct rt_sequences  s = { .at = rt_alloc(SEQUENCES, sizeof *s.at),
		                   .memory = rt_alloc(1, sizeof *s.memory) };

	for (; s.n < SEQUENCES; s.n++) {
		const int64_t n = length[s.n];
		int32_t      *token = rt_arena_alloc(s.memory, (size_t)n, sizeof *token);
		float        *weight = rt_arena_alloc(s.memory, (size_t)n, sizeof *weight);

		for (int64_t i = 0; i < n; i++) {
			token[i] =
				(int32_t)rt_random_below(4, (uint64_t)s.n, (uint64_t)i, VOCABULARY);
			weight[i] = i < n - weighs[s.n] ? 0 : 1;
		}
		s.at[s.n] = (struct rt_sequence){ "", token, weight, n, n - weighs[s.n] };
	}
	return s;
}

/* ---- moments ----------------------------------------------------------------------------------
 */

static const int64_t width[INPUTS] = { HIDDEN, QUERY, HIDDEN, FORWARD };

struct both {
	struct moments m;
	double         sum[INPUTS][QUERY * QUERY];
	int64_t        rows;
};

static void see(void *arg, int64_t layer, enum rt_watch what, const float *x, int64_t rows,
                int64_t columns, int64_t ld)
{
	struct both *b = arg;
	const int    in = what == RT_WATCH_QKV       ? INPUT_QKV
	                  : what == RT_WATCH_O       ? INPUT_O
	                  : what == RT_WATCH_GATE_UP ? INPUT_GATE_UP
	                                             : INPUT_DOWN;

	if (layer != 1 || what == RT_WATCH_LAYER)
		return;
	moments_see(&b->m, what, x, rows, ld);
	ck_assert_int_eq(columns, width[in]);
	b->rows += in == INPUT_QKV ? rows : 0;
	for (int64_t r = 0; r < rows; r++)
		for (int64_t i = 0; i < columns; i++)
			for (int64_t k = 0; k < columns; k++)
				b->sum[in][i * columns + k] +=
					(double)x[r * ld + i] * (double)x[r * ld + k];
}

START_TEST(moments_are_the_plain_sums)
	{
		struct rt_model    *m = new_model(shape, 1);
		struct rt_sequences s = new_sequences();
		struct calibration  c;
		struct both        *b = rt_alloc(1, sizeof *b);
		float               hidden[21 * HIDDEN], norm[QUERY], mean[QUERY * QUERY];

		/* 12 tokens at once: a batch of two sequences, and one of one */
		ck_assert_int_eq(calibration_pack(&c, &s, 1 << 20, 12, NULL), 0);
		ck_assert_int_eq(c.n, 2);
		ck_assert_int_eq(c.tokens, 21);
		ck_assert_int_eq(c.most, 12);
		ck_assert_int_eq(moments_init(&b->m, m, true, NULL), 0);
		for (int64_t i = 0; i < c.n; i++)
			ck_assert_int_eq(
				rt_model_observe(m, &c.batch[i].batch, see, b, hidden, NULL), 0);
		ck_assert_int_eq(b->m.code, 0);
		ck_assert_int_eq(b->m.tokens, b->rows);
		for (enum input in = 0; in < INPUTS; in++) {
			double largest = 0;

			moments_norm(&b->m, in, norm);
			moments_mean(&b->m, in, mean);
			for (int64_t i = 0; i < width[in]; i++)
				largest = fmax(largest, b->sum[in][i * width[in] + i] / 21);
			/* products of at most 12 rows are summed in f32 */
			for (int64_t i = 0; i < width[in] * width[in]; i++)
				ck_assert_double_eq_tol((double)mean[i], b->sum[in][i] / 21,
				                        12 * 0x1p-23 * largest);
			for (int64_t i = 0; i < width[in]; i++)
				ck_assert_double_eq_tol((double)norm[i],
				                        sqrt(b->sum[in][i * width[in] + i] / 21),
				                        0x1p-23 * sqrt(largest));
		}
		moments_clear(&b->m);
		moments_norm(&b->m, INPUT_O, norm);
		ck_assert(isnan(norm[0])); /* of nothing */
		moments_fini(&b->m);
		rt_free(b);
		calibration_fini(&c);
		rt_sequences_free(&s);
		rt_model_close(m);
	}
END_TEST

START_TEST(inputs_are_known_by_the_layers_name)
	{
		ck_assert_int_eq(input_of("model.layers.3.self_attn.k_proj.weight"), INPUT_QKV);
		ck_assert_int_eq(input_of("model.layers.3.self_attn.o_proj.weight"), INPUT_O);
		ck_assert_int_eq(input_of("model.layers.3.mlp.up_proj.weight"), INPUT_GATE_UP);
		ck_assert_int_eq(input_of("model.layers.3.mlp.down_proj.weight"), INPUT_DOWN);
	}
END_TEST

/* ---- divergence -------------------------------------------------------------------------------
 */

/* Logits of a sequence by itself. */
static void logits_of(const struct rt_model *m, const struct rt_sequence *s, float *logits)
{
	int32_t               position[16];
	float                 hidden[16 * HIDDEN];
	const struct rt_span  span = { 0, s->n, 0, s->n, 0 };
	const struct rt_batch b = { s->token, position, s->n, &span, 1 };

	for (int i = 0; i < 16; i++)
		position[i] = i;
	ck_assert_int_eq(rt_model_forward(m, &b, NULL, hidden, NULL), 0);
	ck_assert_int_eq(rt_model_logits(m, hidden, s->n, logits, NULL), 0);
}

/* sum p log(p / q), from the definition. */
static double divergence_of(const float *x, const float *y, bool *ret_same)
{
	double  a = 0, b = 0, sum = 0;
	int64_t p = 0, q = 0;

	for (int i = 0; i < VOCABULARY; i++) {
		a += exp((double)x[i]);
		b += exp((double)y[i]);
		p = x[i] > x[p] ? i : p;
		q = y[i] > y[q] ? i : q;
	}
	for (int i = 0; i < VOCABULARY; i++)
		sum += exp((double)x[i]) / a * log(exp((double)x[i]) / a / (exp((double)y[i]) / b));
	*ret_same = p == q;
	return sum;
}

START_TEST(divergences_are_those_of_the_definition_over_what_weighs)
	{
		struct rt_model    *a = new_model(shape, 1), *b = new_model(shape, 2);
		struct rt_sequences s = new_sequences();
		struct calibration  c;
		struct divergence   d;
		double              sum = 0, squares = 0;
		int64_t             same = 0;

		for (int64_t i = 0; i < s.n; i++) {
			const struct rt_sequence *q = &s.at[i];
			float                     x[16 * VOCABULARY], y[16 * VOCABULARY];
			double                    mean = 0;

			logits_of(a, q, x);
			logits_of(b, q, y);
			/* the token behind place k - 1 is token k */
			for (int64_t k = q->prompt; k < q->n; k++) {
				bool is;

				mean += divergence_of(x + (k - 1) * VOCABULARY,
				                      y + (k - 1) * VOCABULARY, &is) /
				        (double)(q->n - q->prompt);
				same += is;
			}
			sum += mean;
			squares += mean * mean;
		}
		ck_assert_int_eq(calibration_pack(&c, &s, 1 << 20, 12, NULL), 0);
		ck_assert_int_eq(divergence_measure(&d, a, b, &c, &context, NULL), 0);
		ck_assert_int_eq(d.sequences, SEQUENCES);
		ck_assert_int_eq(d.tokens, 8);
		ck_assert_int_eq(d.same, same);
		/* logits of some tens, off by what the order of f32 sums does: 1e-5 of them */
		ck_assert_double_gt(sum, .1);
		ck_assert_double_eq_tol(d.sum, sum, 1e-4 * sum);
		ck_assert_double_eq_tol(d.squares, squares, 1e-4 * squares);
		ck_assert_int_eq(divergence_measure(&d, a, a, &c, &context, NULL), 0);
		ck_assert(d.sum == 0 && d.same == 8);
		calibration_fini(&c);
		rt_sequences_free(&s);
		rt_model_close(a);
		rt_model_close(b);
	}
END_TEST

START_TEST(vocabularies_of_two_sizes_are_refused)
	{
		char                text[sizeof shape];
		struct rt_model    *a = new_model(shape, 1), *b;
		struct rt_sequences s = new_sequences();
		struct calibration  c;
		struct divergence   d;
		struct rt_error     err = RT_ERROR_INIT;

		memcpy(text, shape, sizeof text);
		memcpy(strstr(text, "50"), "60", 2);
		b = new_model(text, 1);
		ck_assert_int_eq(calibration_pack(&c, &s, 2, 64, NULL), 0);
		ck_assert_int_eq(c.tokens, 12);
		ck_assert_int_eq(divergence_measure(&d, a, b, &c, &context, &err), RT_E_SHAPE);
		ck_assert_str_eq(err.msg,
		                 "models of 50 and 60 tokens have no distributions to compare");
		calibration_fini(&c);
		rt_sequences_free(&s);
		rt_model_close(a);
		rt_model_close(b);
	}
END_TEST

RUNNER("calibration", 120, {
	tcase_add_test(tc, moments_are_the_plain_sums);
	tcase_add_test(tc, inputs_are_known_by_the_layers_name);
	tcase_add_test(tc, divergences_are_those_of_the_definition_over_what_weighs);
	tcase_add_test(tc, vocabularies_of_two_sizes_are_refused);
})
