/* cli/account.h - what a run has brought, gathered from the store: for `retort report`.
 *
 * Everything is read from the manifests and metrics of finished stages, so an account can be made
 * at any time, and of runs whose pipeline file is gone. */
#ifndef CLI_ACCOUNT_H
#define CLI_ACCOUNT_H

#include "pipeline/store.h"

#include <retort/memory.h>
#include <retort/text.h>

/* A figure with what it was measured on; low and high are NAN where it has no interval. */
struct figure {
	const char *name;
	double      value, low, high;
	int64_t     n;
};

struct account_stage {
	const char     *name, *key, *plugin;
	struct rt_json *manifest; /* NULL: not done */
	struct rt_json *metrics;  /* of all outputs: { OUTPUT: metrics.json } */
	double          seconds;
	bool            resumed; /* it took longer: these are of its last part */
	int64_t         bytes;   /* of the weights that it made; 0: it made no model */
	int64_t         of;      /* the stage whose model its figures are about, or -1 */
	bool            repeat;  /* of a stage, with another seed */
};

/* A model that the run made, with what was measured of it. */
struct account_model {
	const struct account_stage *stage;
	struct figure quality; /* first figure of the first evaluation; name NULL: none */
	double        parameters, latency, latency95; /* NAN: not measured; seconds */
};

struct account {
	struct store         *store;
	const char           *name; /* of the pipeline */
	int64_t               seed;
	struct rt_json       *run;
	struct account_stage *stages; /* in the order of the file */
	int64_t               n, done;
	struct account_model *models;
	int64_t               n_models;
	bool                  resumed;                                    /* any of them */
	double                seconds, input_tokens, output_tokens, cost; /* of all stages */
	struct rt_arena       room;
};

int  account_read(struct account *a, struct store *store, const char *pipeline,
                  struct rt_error *err);
void account_free(struct account *a);

/* A figure of one of a stage's outputs; NULL output: the first that has it. false: none. */
bool account_figure(const struct account_stage *s, const char *output, const char *name,
                    struct figure *ret);

/* Rows of a stage's evaluation that the first judge did not give 1, at most `most`; calls
 * fn(arg, question, expected, answer, reason). */
typedef void account_failure_fn(void *arg, const char *question, const char *expected,
                                const char *answer, const char *reason);
int          account_failures(const struct account *a, const struct account_stage *s, int64_t most,
                              account_failure_fn *fn, void *arg, struct rt_error *err);

/* "1.52 MB", "614 k", "12.3 s", "2:05 min"; into out, which is returned. */
const char *account_bytes(double bytes, char out[32]);
const char *account_count(double n, char out[32]);
const char *account_seconds(double s, char out[32]);
/* "over 2:05 min" of what was resumed. */
const char *account_made(double s, bool resumed, char out[32]);

/* The account as Markdown, and as one page of HTML that needs nothing else. */
int account_markdown(const struct account *a, struct rt_text *out, struct rt_error *err);
int account_html(const struct account *a, struct rt_text *out, struct rt_error *err);

/* Drawings as SVG: quality against size of the models; and losses and rewards of the stages, from
 * the events that tracker-jsonl kept.  Nothing is added where there is nothing to draw. */
void account_pareto(const struct account *a, struct rt_text *out);
int  account_curves(const struct account *a, struct rt_text *out, struct rt_error *err);

#endif
