/* retort/stage.h - kind `stage`: inputs become outputs.
 *
 * A stage declares its inputs as parameters (RT_PARAM_INPUT) and its outputs in its ops.
 * The host runs it when its inputs are finished, in a thread of its own; several stages may
 * run side by side.  Its result is kept under a key made of everything that determines
 * it: plugin name and version, parameters, input keys, contents of the files that
 * parameters name, seed.  So a stage must read nothing else.
 *
 * Artifacts are folders:
 *   dataset   rows.jsonl                       (retort/rows.h)
 *   model     a Hugging Face directory, or model.gguf: what rt_model_open() takes; or a directory
 *             that a plugin of kind `format` wrote, for whoever has that
 *   metrics   metrics.json                     { "name": { "value":, "n":, "low":, "high": } }
 *             n: how many things it was measured on; low and high: a 95 % interval, where it
 *             is a mean */
#ifndef RETORT_STAGE_H
#define RETORT_STAGE_H

#include <retort/plugin.h>

#define RT_STAGE_ABI 1

enum rt_artifact_type { RT_DATASET = 1, RT_MODEL, RT_METRICS, RT_ARTIFACT_END_ };

struct rt_artifact {
	uint32_t    type; /* enum rt_artifact_type */
	uint32_t    reserved;
	const char *path; /* its folder; NULL while only estimating */
	const char *name; /* "stage" or "stage.output", as the pipeline calls it */
	int64_t     rows; /* of a dataset, known or estimated; -1 unknown */
};

/* What running would take.  NAN is "unknown", and is said to be. */
struct rt_estimate {
	double  calls, input_tokens, output_tokens; /* of a teacher */
	double  money;                              /* in the currency of the price given */
	double  seconds;
	double  memory, disk; /* bytes at the peak; bytes of the outputs */
	int64_t rows[8];      /* of each output that is a dataset; -1 unknown */
};

struct rt_stage_output {
	const char *name; /* [a-z][a-z0-9_]*; the first is the one that `stage` alone means */
	const char *doc;  /* one sentence with its full stop */
	uint32_t    type; /* enum rt_artifact_type */
	uint32_t    reserved;
};

struct rt_stage_ops {
	uint32_t size; /* sizeof(struct rt_stage_ops) */
	uint32_t reserved;

	/* At most 8, ends with name NULL. */
	const struct rt_stage_output *outputs;

	/* Do the work: fill the folder out[i] of each output (it is there and empty).  What
	 * must survive a crash goes to rt_work_dir(c).  Check what was made before returning
	 * 0: the host checks form and counts, only the stage knows the meaning.  Returns
	 * RT_E_CANCEL when asked to stop, RT_E_GATE when a quality gate is not met (outputs
	 * are kept then). [stage] */
	int (*run)(void *state, struct rt_context *c, const char *const *out, struct rt_error *err);

	/* What would it take?  Inputs in config have rows, and a path only when they are
	 * finished.  *ret comes filled with unknowns; where no teacher is among the stage's
	 * components, or theirs, with no calls, tokens and money.  May be NULL.  Opens
	 * nothing. [main] */
	int (*estimate)(const void *config, struct rt_estimate *ret, struct rt_error *err);
};

#endif
