/* retort/plugin.h - the one struct that a plugin exports.
 *
 * A plugin is one shared object <kind>-<name>.so with one constant, `struct rt_plugin
 * retort_plugin`.  It is data: the host finds, vets, lists and documents a plugin
 * without calling any function of it.  (So a plugin must not have ELF constructors.)
 *
 * Life of an instance, always in this order, on the thread that runs the stage:
 *
 *     host zeroes config and state, fills config from the pipeline file
 *     check(config)   [main]    before anything runs: rules that span several parameters; of
 *                               inputs it sees whether they are set, and no more
 *     open(state)     [stage]   its components are open already
 *     ops...                    as the kind's header says
 *     close(state)    [stage]   exactly once after open(), even when open() failed
 *
 * Thread tags in the headers: [main] the program's main thread; [stage] the one thread
 * that runs the stage, one call at a time; [worker] any thread, but one call at a time for
 * each state; [any] any thread, many calls at once.
 *
 * Versions.  The host loads a plugin whose ABI major is its own and whose minor is not newer.
 * New members go to the end of a struct and raise the minor; `size` tells the host which
 * ones a plugin was built with.  Each kind has a number of its own that counts changes
 * of its contract, so that a change in one kind leaves the others alone.
 *
 *   1.0  first version */
#ifndef RETORT_PLUGIN_H
#define RETORT_PLUGIN_H

#include <retort/context.h>
#include <retort/error.h>
#include <retort/param.h>

#include <stddef.h>
#include <stdint.h>

#define RT_MAGIC     0x54525452u /* "RTRT" */
#define RT_ABI_MAJOR 1
#define RT_ABI_MINOR 0

/* Append only: NAME, number, name in files, member of ops. */
#define RT_KIND_MAP(X)                                                                             \
	X(STAGE, 1, "stage", stage)                                                                \
	X(TEACHER, 2, "teacher", teacher)                                                          \
	X(TOOL, 3, "tool", tool)                                                                   \
	X(JUDGE, 4, "judge", judge)                                                                \
	X(SAMPLER, 5, "sampler", sampler)                                                          \
	X(REJECTOR, 6, "rejector", rejector)                                                       \
	X(RL, 7, "rl", rl)                                                                         \
	X(DISTILL, 8, "distill", distill)                                                          \
	X(PRUNER, 9, "pruner", pruner)                                                             \
	X(QUANTIZER, 10, "quantizer", quantizer)                                                   \
	X(OPTIMIZER, 11, "optimizer", optimizer)                                                   \
	X(FORMAT, 12, "format", format)                                                            \
	X(TRACKER, 13, "tracker", tracker)

enum rt_kind {
#define RT_X(name, num, text, member) RT_KIND_##name = (num),
	RT_KIND_MAP(RT_X)
#undef RT_X
		RT_KIND_END_
};

struct rt_plugin {
	/* These guard the rest and never move. */
	uint32_t magic;
	uint16_t abi_major, abi_minor;
	uint32_t size;     /* sizeof(struct rt_plugin) */
	uint16_t kind;     /* enum rt_kind */
	uint16_t kind_abi; /* RT_JUDGE_ABI, ... */

	const char *name;    /* [a-z][a-z0-9-]*, as in the file name behind the kind */
	const char *version; /* of the plugin; part of every key: raise it when results change */
	const char *license; /* SPDX expression */
	const char *summary; /* one sentence with its full stop; names the source */

	size_t                 config_size; /* sizeof(struct config), 0 without parameters */
	const struct rt_param *params;      /* ends with RT_PARAM_END; NULL without */
	/* What is kept from open() on: the host allocates it, zeroed, aligned to 64.  0: nothing
	 * but the parameters, and ops get the config in its place, which they do not write. */
	size_t state_size;

	/* Each may be NULL.  The state must not point into a config that is not its own. */
	int (*check)(const void *config, struct rt_error *err);
	int (*open)(void *state, const void *config, struct rt_context *c, struct rt_error *err);
	void (*close)(void *state);

	union {
#define RT_X(name, num, text, member) const struct rt_##member##_ops *member;
		RT_KIND_MAP(RT_X)
#undef RT_X
		const void *any;
	} ops;
};

/* A plugin inside a stage, or inside another component: its ops with its state, open. */
struct rt_component {
	const struct rt_plugin *plugin;
	void                   *state;
	const void             *config;
	struct rt_context      *context;
};

/* Does this ops table reach as far as `member`, and is it there? */
#define RT_HAS(table, member)                                                                      \
	((size_t)((const char *)&(table)->member - (const char *)(table)) +                        \
	                 sizeof((table)->member) <=                                                \
	         (table)->size &&                                                                  \
	 (table)->member)

#if defined(__GNUC__)
#define RT_EXPORT __attribute__((visibility("default")))
#else
#define RT_EXPORT
#endif

/* Linked into a test program, several plugins need distinct names. */
#ifdef RETORT_STATIC
#define RT_PLUGIN_SYMBOL(id) retort_plugin_##id
#else
#define RT_PLUGIN_SYMBOL(id) retort_plugin
#endif

/* RT_PLUGIN(exact, JUDGE, .version = "1.0", ..., .ops.judge = &ops);
 * The first word names the symbol in a test program; .name is what users write. */
#define RT_PLUGIN(id, KIND, ...)                                                                           \
	extern RT_EXPORT const struct rt_plugin RT_PLUGIN_SYMBOL(id);                                      \
	const struct rt_plugin                  RT_PLUGIN_SYMBOL(id) = { .magic = RT_MAGIC,                \
		                                                         .abi_major = RT_ABI_MAJOR,        \
		                                                         .abi_minor = RT_ABI_MINOR,        \
		                                                         .size = sizeof(struct rt_plugin), \
		                                                         .kind = RT_KIND_##KIND,           \
		                                                         .kind_abi = RT_##KIND##_ABI,      \
		                                                         __VA_ARGS__ }

#endif
