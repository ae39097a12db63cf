/* cli/bench.h - what retort bench is made of: parts that measure, each in a process of its own. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include <retort/generate.h>
#include <retort/train.h>

enum { BENCH_REPEAT = 100, BENCH_NAME = 64 };

/* What this machine can do at most, as it was measured; 0: it was not. */
struct bench_limits {
	double arithmetic; /* FLOP/s of f32 products that stay in the caches, all threads */
	double product;    /* of one large product */
	double read;       /* bytes/s from memory, all threads */
};

/* A model that needs no file. */
struct bench_shape {
	const char *name;
	int64_t     hidden, layers, feed_forward, heads, kv_heads, vocabulary;
};
extern const struct bench_shape bench_shapes[]; /* ends with a NULL name */
extern const char *const        bench_types[];  /* number types of their weights, NULL at the end */

/* What a part is to do. */
struct bench_job {
	const struct bench_shape *shape;      /* bench_write() alone */
	int                       type;       /* index in bench_types */
	int64_t                   vocabulary; /* of the shape, instead of its own; 0: its own */
	const char               *path;       /* of the model */
	int64_t                   prompt, tokens, sequences;
	int64_t                   batch, length; /* training: sequences, and tokens of each */
	int64_t                   repeat;
	const struct rt_training *training;
	struct rt_context        *context;
};

/* What it found. */
struct bench_result {
	double              seconds[BENCH_REPEAT]; /* of each run */
	int64_t             n;                     /* runs */
	double              tokens;                /* of a run; 0: its time is what counts */
	double              flops, bytes;          /* of a run; 0: not what limits it */
	int64_t             parameters, weights;   /* of the model; weights in bytes */
	enum rt_dtype       dtype;                 /* of most of the weights */
	int64_t             batch, length;         /* training: as it was done */
	struct bench_limits limits;
	char                blas[BENCH_NAME];
	int64_t             memory; /* most bytes that the process held; by bench_apart() */
};

typedef int bench_fn(const struct bench_job *j, struct bench_result *ret, struct rt_error *err);

/* fn in a child process, so that parts do not inherit each other's memory and threads.  A child
 * that dies is an error that says of what; RT_E_CANCEL when a signal asked to stop. */
int bench_apart(bench_fn *fn, const struct bench_job *j, struct bench_result *ret,
                struct rt_error *err);

/* From now on signals that ask to stop end the part at hand, not the program at once: it removes
 * its files first. */
void bench_catch_signals(void);

/* The parts.  bench_load() does one run whatever `repeat` says: each wants a fresh process. */
bench_fn bench_write, bench_limit, bench_prefill, bench_decode, bench_request, bench_load,
	bench_train;

/* ---- what the arithmetic says, bench-count.c ----------------------------------------------- */

/* FLOP of a forward pass over `n` sequences of `length` tokens, logits for `rows` rows of each. */
double bench_flops(const struct rt_model_shape *s, int64_t n, int64_t length, int64_t rows);

/* Bytes of weights, as the engine keeps them, and cache that are read for one more token of each of
 * `sequences`, of which `context` have been before (a mean: not whole). */
double bench_bytes(const struct rt_engine *e, int64_t sequences, double context);

/* ---- printing, bench-print.c ----------------------------------------------------------------- */

/* What a line is about; model NULL: the machine. */
struct bench_line {
	const char *model, *type, *part;
	char        figure[BENCH_NAME];
	int64_t     sequences; /* decode; else 0 */
};

int bench_print_head(bool json, struct rt_error *err);
int bench_print_limits(const struct bench_result *r, bool json, struct rt_error *err);
int bench_print_model(const struct bench_line *l, const struct bench_result *r, bool json,
                      struct rt_error *err);
int bench_print(const struct bench_line *l, const struct bench_result *r,
                const struct bench_limits *limits, bool json, struct rt_error *err);

#endif
