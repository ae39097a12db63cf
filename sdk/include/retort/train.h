/* retort/train.h - what every training stage shares: sequences, packed batches, and a trainer that
 * steps, keeps checkpoints and resumes.
 *
 * A stage brings the objective and nothing else:
 *
 *     rt_sequences_read(&s, m, data->path, &options, c, err);
 *     rt_trainer_open(&t, m, &cfg->training, steps, c, err);
 *     for (int64_t i = rt_trainer_at(t); i < steps; i++) {
 *             ... choose sequences as a function of i alone ...
 *             rt_pack(&p, chosen, n, err);
 *             rt_model_forward(m, &p.batch, tape, hidden, err);
 *             ... loss, dhidden ...
 *             rt_model_backward(m, &p.batch, tape, dhidden, rt_trainer_gradients(t), err);
 *             rt_trainer_step(t, &did, err);
 *     }
 *
 * What a step does must depend on its number, the data and the seed only: then a run that was
 * killed and goes on from its last checkpoint ends with the same bytes. */
#ifndef RETORT_TRAIN_H
#define RETORT_TRAIN_H

#include <retort/context.h>
#include <retort/model.h>
#include <retort/optimizer.h>

/* ---- sequences ---------------------------------------------------------------------------- */

struct rt_sequence {
	const char    *id;     /* of its row */
	const int32_t *token;  /* [n] */
	const float   *weight; /* [n] what predicting this token counts in a loss; the first is 0 */
	int64_t        n, prompt; /* tokens; those in front of the assistant's last turn */
};

struct rt_sequence_options {
	int64_t max_length;    /* tokens; longer ones are left out; 0: the model's context */
	double  prompt_weight; /* weight of a token that the assistant did not write; its own: 1 */
};

struct rt_sequences {
	struct rt_sequence *at;
	int64_t             n;
	int64_t             too_long; /* rows that were left out */
	struct rt_arena    *memory;
};

/* The rows of a dataset through the model's chat template.  A row without an answer of the
 * assistant's is an error that names its line; so is a dataset of which nothing stays. [stage] */
int  rt_sequences_read(struct rt_sequences *ret, const struct rt_model *m, const char *folder,
                       const struct rt_sequence_options *options, struct rt_context *c,
                       struct rt_error *err);
void rt_sequences_free(struct rt_sequences *s);

/* ---- batches ------------------------------------------------------------------------------ */

/* Sequences one after another, each a span of its own: nothing is padded, nothing leaks. */
struct rt_packed {
	struct rt_batch batch;
	const int32_t *label; /* [rows] the token that follows, RT_IGNORE where it does not count */
	const float   *weight; /* [rows] of the label */
	double         total;  /* sum of weight */
	/* memory, reused by the next rt_pack() */
	int32_t        *own_token, *own_position, *own_label;
	float          *own_weight;
	struct rt_span *own_spans;
	int64_t         cap_rows, cap_spans;
};

/* p is zeroed before its first use. [any] */
int  rt_pack(struct rt_packed *p, const struct rt_sequence *const *s, int64_t n,
             struct rt_error *err);
void rt_packed_free(struct rt_packed *p);

/* How many of the sequences s[0..n) fit in `rows` rows; at least 1. */
int64_t rt_pack_count(const struct rt_sequence *const *s, int64_t n, int64_t rows);

/* Memory for what a pass over rows needs; zeroed before its first use, grown as needed. */
struct rt_pass {
	float  *hidden, *dhidden; /* [rows, hidden] */
	float  *logp, *coef;      /* [rows] */
	int64_t rows;             /* that there is room for */
};
int  rt_pass_reserve(struct rt_pass *p, const struct rt_model *m, int64_t rows,
                     struct rt_error *err);
void rt_pass_free(struct rt_pass *p);

/* Sum of the weights of some sequences. */
double rt_pack_weight(const struct rt_sequence *const *s, int64_t n);

/* Which sequences step `step` (from 0) trains on: `batch` of them from an endless row of epochs,
 * each in an order of its own (rt_random_permutation() of seed, stream = epoch). */
struct rt_order {
	uint64_t seed;
	int64_t  n, batch;
	int64_t  epoch; /* that `at` holds; -1 at first */
	int64_t *at;    /* [n]; NULL at first */
};
int  rt_order_step(struct rt_order *o, int64_t step, int64_t *ret_index, struct rt_error *err);
void rt_order_free(struct rt_order *o);

/* ---- trainer ------------------------------------------------------------------------------- */

enum rt_schedule { RT_SCHEDULE_COSINE, RT_SCHEDULE_LINEAR, RT_SCHEDULE_CONSTANT };
extern const char *const rt_schedules[]; /* their names, for the parameter */

enum rt_products { RT_PRODUCTS_F32, RT_PRODUCTS_BF16 };
extern const char *const rt_products[3]; /* the same, for RT_PARAM_ENUM() */

#define RT_RATE_END .1 /* the default of rate_end */

/* Parameters of every training stage: a member of its config, and RT_TRAINING_PARAMS() among the
 * rows of its table; RT_TRAINING_BATCH(), too, where steps are over batches of rows. */
struct rt_training {
	struct rt_component *optimizer;
	double               rate, rate_end, warmup, clip, average, save;
	int                  schedule, products;
	int64_t              batch, rows;
	bool                 recompute, small_moments, decay_vectors;
};

#define RT_TRAINING_ROW(S, f, member, T, C, ...)                                                   \
	{                                                                                          \
		.name = #member, .type = (T), .offset = RT_FIELD(S, f.member, C), __VA_ARGS__      \
	}
#define RT_TRAINING_BATCH(S, f)                                                                    \
	RT_TRAINING_ROW(S, f, batch, RT_INT, int64_t, .unit = "sequences", .dflt.i = 32,           \
	                .min.i = 1, .max.i = 1 << 20, .doc = "Sequences in a step.")
#define RT_TRAINING_PARAMS(S, f)                                                                   \
	RT_TRAINING_ROW(S, f, optimizer, RT_COMPONENT, struct rt_component *,                      \
	                .of = RT_KIND_OPTIMIZER, .dflt.s = "adamw",                                \
	                .doc = "What turns gradients into updates."),                              \
		RT_TRAINING_ROW(S, f, rate, RT_REAL, double, .dflt.r = 1e-3, .min.r = 0,           \
	                        .max.r = 10, .doc = "Learning rate at its peak."),                 \
		RT_TRAINING_ROW(S, f, schedule, RT_ENUM, int, .choices = rt_schedules, .max.i = 2, \
	                        .doc = "How the rate falls from its peak."),                       \
		RT_TRAINING_ROW(S, f, rate_end, RT_REAL, double, .dflt.r = RT_RATE_END,            \
	                        .max.r = 1,                                                        \
	                        .doc = "Rate at the end, as a share of its peak; not with "        \
	                               "schedule \"constant\"."),                                  \
		RT_TRAINING_ROW(S, f, warmup, RT_REAL, double, .dflt.r = .03, .max.r = 1,          \
	                        .doc = "Share of the steps in which the rate rises."),             \
		RT_TRAINING_ROW(S, f, clip, RT_REAL, double, .dflt.r = 1, .max.r = 1e9,            \
	                        .doc = "Norm that all gradients together are cut to; 0: never."),  \
		RT_TRAINING_ROW(S, f, average, RT_REAL, double, .max.r = .99999,                   \
	                        .doc = "Decay of a running mean of the weights, which is what "    \
	                               "is kept in the end; 0: none."),                            \
		RT_TRAINING_ROW(S, f, rows, RT_INT, int64_t, .unit = "tokens", .dflt.i = 4096,     \
	                        .min.i = 1, .max.i = 1 << 24,                                      \
	                        .doc = "Tokens that go through the model at once; gradients add "  \
	                               "up over the parts of a batch."),                           \
		RT_TRAINING_ROW(S, f, products, RT_ENUM, int, .choices = rt_products, .max.i = 1,  \
	                        .doc = "What matrices are rounded to before they are multiplied; " \
	                               "sums, weights, gradients and moments are f32.  bf16 is "   \
	                               "faster where the processor multiplies it."),               \
		RT_TRAINING_ROW(S, f, recompute, RT_BOOL, bool, .max.i = 1,                        \
	                        .doc = "Whether layers are computed again in the backward pass: "  \
	                               "less memory, a third more time."),                         \
		RT_TRAINING_ROW(S, f, small_moments, RT_BOOL, bool, .max.i = 1,                    \
	                        .doc = "Whether the optimizer's moments are kept in 16 bits, "     \
	                               "rounded by chance."),                                      \
		RT_TRAINING_ROW(S, f, decay_vectors, RT_BOOL, bool, .max.i = 1,                    \
	                        .doc = "Whether weight decay applies to norms and biases, too."),  \
		RT_TRAINING_ROW(                                                                   \
			S, f, save, RT_REAL, double, .unit = "seconds", .dflt.r = 120,             \
			.max.r = 1e6, .flags = RT_P_NOKEY,                                         \
			.doc = "Time between checkpoints to resume from; longer where writing "    \
			       "one takes a twentieth of it, 0: after each step.")

struct rt_trainer;

/* What the products are computed with, for rt_model_multiply(): a reference model that scores are
 * compared with should be multiplied as the model that is trained. [any] */
unsigned rt_products_matmul(int products);

/* m was opened with RT_MODEL_TRAIN and stays the caller's; until the trainer is closed its passes
 * are multiplied as `products` says (rt_model_multiply()).  A checkpoint in rt_work_dir(c) of a run
 * that was cut short is gone on from; one that is damaged is an error. [stage] */
int  rt_trainer_open(struct rt_trainer **ret, struct rt_model *m, const struct rt_training *o,
                     int64_t steps, struct rt_context *c, struct rt_error *err);
void rt_trainer_close(struct rt_trainer *t); /* NULL is fine */

int64_t              rt_trainer_at(const struct rt_trainer *t); /* steps that are done */
struct rt_gradients *rt_trainer_gradients(struct rt_trainer *t);

/* What a stage keeps beside the weights (best score, counts), as it was at the last checkpoint: an
 * object, lent, never NULL; change it freely. */
struct rt_json *rt_trainer_notes(struct rt_trainer *t);

struct rt_stepped {
	int64_t step;       /* from 1 */
	double  rate, norm; /* of all gradients, before they were cut */
};

/* Update the weights with the gradients, which become 0; keep a checkpoint when it is time, or when
 * the run is being cancelled (then RT_E_CANCEL).  RT_E_NUMERIC when a gradient is not finite: the
 * weights are as they were. [stage] */
int rt_trainer_step(struct rt_trainer *t, struct rt_stepped *ret, struct rt_error *err);

/* While it is held, a trainer keeps no checkpoint, even when told to, and hears of no cancelling:
 * for steps that cannot be gone on with one by one. [stage] */
void rt_trainer_hold(struct rt_trainer *t, bool hold);

/* Keep a checkpoint now, between two steps, of the weights that are trained, swapped or not: for
 * long work outside of them that is being cancelled. [stage] */
int rt_trainer_save(struct rt_trainer *t, struct rt_error *err);

/* Exchange the weights with their running mean, to judge or to keep it; again to go on.  Without
 * `average` nothing changes. [stage] */
void rt_trainer_swap(struct rt_trainer *t);

/* Keep the weights as they are under a name, in the work folder; bring them back. [stage] */
int rt_trainer_keep(struct rt_trainer *t, const char *name, struct rt_error *err);
int rt_trainer_bring(struct rt_trainer *t, const char *name, struct rt_error *err);

#endif
