/* plugin/trial.h - one plugin on trial: held against what its kind's header says.
 *
 * A trial runs in a process of its own, so that a plugin that crashes, hangs or corrupts
 * memory is a line in the report.  Nothing is released: the process ends.  Memory that a
 * plugin may write ends at a page that nobody may touch; memory that it may not write is
 * read-only. */
#ifndef PLUGIN_TRIAL_H
#define PLUGIN_TRIAL_H

#include "plugin/context.h"

#include <retort/hash.h>
#include <retort/plugin.h>

#include <stdio.h>

enum trial_result { TRIAL_PASS = '+', TRIAL_FAIL = '-', TRIAL_SKIP = '?' };

struct trial {
	const struct rt_plugin *plugin;
	const void             *config;
	void                   *state;
	struct rt_context      *context;
	const char             *folder; /* of its own, empty at first */
	FILE                   *report;
	struct rt_hash          digest; /* of everything that the plugin put out */
	void                   *data;   /* the kind's own, made by prepare() */
};

/* One line of the report. */
void trial_say(struct trial *t, enum trial_result result, const char *check, const char *fmt, ...)
	RT_PRINTF(4, 5);

/* Pass, or fail with the reason; returns good. */
bool trial_check(struct trial *t, bool good, const char *check, const char *why, ...)
	RT_PRINTF(4, 5);

/* What is being done now, named should the process die of it. */
void trial_now(struct trial *t, const char *fmt, ...) RT_PRINTF(2, 3);

/* n elements to be written by the plugin, filled with a pattern that is no valid value; and a
 * copy that it can only read.  Ends the process when memory runs out. */
void       *trial_output(size_t n, size_t size);
const void *trial_input(const void *bytes, size_t n, size_t size);

/* n normal numbers times `scale`, read-only, the same for the same stream. */
const float *trial_normal(uint64_t stream, int64_t n, double scale);

/* Was every one of n floats written, and is finite? */
bool trial_finite(const float *x, int64_t n);

/* What a kind is tried with.  `once` is one piece of its ordinary work; when it says
 * RT_E_UNSUP the rest is skipped. */
struct trial_kind {
	void (*prepare)(struct trial *t);
	int (*once)(struct trial *t, struct rt_error *err);
	void (*verify)(struct trial *t);
};

extern const struct trial_kind trial_distill, trial_rl, trial_sampler, trial_pruner,
	trial_quantizer, trial_optimizer, trial_judge, trial_rejector, trial_teacher, trial_tool,
	trial_tracker, trial_format, trial_stage;

const struct trial_kind *trial_kind(unsigned kind);

/* Two rows as JSON Lines: one answered with text, one with a call of a tool. */
extern const char trial_rows[];

/* d/dx of a loss at one input, by central differences, or NAN next to a kink. */
typedef double trial_loss_fn(void *arg, float x);
double         trial_slope(trial_loss_fn *loss, void *arg, float x, float step);

#endif
