/* retort/param.h - a plugin declares its parameters once, as a table.
 *
 * From that one table the host fills the plugin's config struct with defaults, reads the
 * pipeline file into it, checks types and ranges, computes the key of a stage, prints
 * `retort plugins KIND-NAME`, and documents.  The plugin never sees
 * the file or the library that reads it.
 *
 *	struct config { int64_t bits; double damp; const char *path; struct rt_component *loss; };
 *
 *	static const struct rt_param params[] = {
 *		RT_PARAM_INT(struct config, bits, 4, 2, 8, "bits", "Bits per weight."),
 *		RT_PARAM_REAL(struct config, damp, .01, 0, 1, NULL, "Dampening."),
 *		RT_PARAM_END
 *	};
 *
 * A row that names a field of another type does not compile.  Strings, lists and
 * components in a config belong to the host and live until the plugin is closed.
 * What else a row has to say follows its sentence: "A sentence.", .flags = RT_P_REQUIRED) */
#ifndef RETORT_PARAM_H
#define RETORT_PARAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rt_component; /* retort/plugin.h */
struct rt_artifact;  /* retort/stage.h */

enum rt_type {
	RT_BOOL = 1,  /* bool */
	RT_INT,       /* int64_t */
	RT_REAL,      /* double; a whole number in the file is fine */
	RT_STRING,    /* const char *, may be NULL when it has no default */
	RT_ENUM,      /* int, an index into choices */
	RT_PATH,      /* const char *; relative to the folder of the file that names it */
	RT_COMPONENT, /* struct rt_component *: { use = "name"; ... } or just "name" */
	RT_INPUT,     /* const struct rt_artifact *: the name of a stage, or "stage.output" */
	RT_TYPE_END_
};

enum {
	RT_P_REQUIRED = 1 << 0, /* the file must set it */
	RT_P_NOKEY =
		1 << 1, /* does not change the result (how fast, how loud): not part of the key */
	RT_P_HIDDEN = 1 << 2, /* not shown unless asked for */
	RT_P_ENV = 1 << 3,    /* STRING: the name of an environment variable, which must be set when
	                       * the pipeline is checked; read it with rt_env(), its value is kept
	                       * out of keys, logs and artifacts; "" names none */
	RT_P_FOLDER = 1 << 4, /* PATH: a folder, read as a whole (else a file) */
	RT_P_WRITTEN =
		1 << 5 /* PATH: written, not read: need not be there, its content is no input */
};

/* clang-format off */
/* Lists.  In the file: ( a, b ) or [ a, b ], or one value alone. */
struct rt_bools { const bool *at; int64_t n; };
struct rt_ints { const int64_t *at; int64_t n; };
struct rt_reals { const double *at; int64_t n; };
struct rt_strings { const char *const *at; int64_t n; }; /* of RT_STRING and RT_PATH */
struct rt_enums { const int *at; int64_t n; };
struct rt_components { struct rt_component *const *at; int64_t n; };
struct rt_inputs { const struct rt_artifact *const *at; int64_t n; };
/* clang-format on */

union rt_value {
	int64_t     i; /* BOOL, INT, ENUM */
	double      r; /* REAL */
	const char *s; /* STRING, PATH, the `use` of a COMPONENT */
};

struct rt_param {
	const char        *name;        /* [a-z][a-z0-9_]*, the field's name */
	const char        *unit;        /* "tokens", "bytes", or NULL */
	const char        *doc;         /* one sentence with its full stop */
	const char *const *choices;     /* ENUM: NULL-terminated */
	union rt_value     dflt;        /* unless REQUIRED; a list's default is empty */
	union rt_value     min, max;    /* INT, REAL, ENUM: of each value, both included */
	int64_t            least, most; /* lists: how many; most 0: any number */
	uint32_t           offset;      /* of the field in the config struct */
	uint16_t           type;        /* enum rt_type */
	uint16_t           of; /* COMPONENT: its enum rt_kind; INPUT: its enum rt_artifact_type */
	uint32_t           flags; /* RT_P_* */
	uint32_t           list;  /* 1: the field is the list struct of its type, above */
};

/* The offset of S.f, or a compile error when S.f is not exactly of type T. */
#define RT_FIELD(S, f, T) ((uint32_t)offsetof(S, f) + _Generic(((S *)0)->f, T : 0u))

#define RT_PARAM_BOOL(S, f, dv, ...)                                                               \
	{                                                                                          \
		.name = #f, .type = RT_BOOL, .offset = RT_FIELD(S, f, bool), .dflt.i = (dv),       \
		.max.i = 1, .doc = __VA_ARGS__                                                     \
	}
#define RT_PARAM_INT(S, f, dv, lo, hi, un, ...)                                                    \
	{                                                                                          \
		.name = #f, .unit = (un), .type = RT_INT, .offset = RT_FIELD(S, f, int64_t),       \
		.dflt.i = (dv), .min.i = (lo), .max.i = (hi), .doc = __VA_ARGS__                   \
	}
#define RT_PARAM_REAL(S, f, dv, lo, hi, un, ...)                                                   \
	{                                                                                          \
		.name = #f, .unit = (un), .type = RT_REAL, .offset = RT_FIELD(S, f, double),       \
		.dflt.r = (dv), .min.r = (lo), .max.r = (hi), .doc = __VA_ARGS__                   \
	}
#define RT_PARAM_STRING(S, f, dv, ...)                                                             \
	{                                                                                          \
		.name = #f, .type = RT_STRING, .offset = RT_FIELD(S, f, const char *),             \
		.dflt.s = (dv), .doc = __VA_ARGS__                                                 \
	}
#define RT_PARAM_PATH(S, f, dv, ...)                                                               \
	{                                                                                          \
		.name = #f, .type = RT_PATH, .offset = RT_FIELD(S, f, const char *),               \
		.dflt.s = (dv), .doc = __VA_ARGS__                                                 \
	}
#define RT_PARAM_ENUM(S, f, dv, list, ...)                                                         \
	{                                                                                          \
		.name = #f, .type = RT_ENUM, .offset = RT_FIELD(S, f, int), .choices = (list),     \
		.dflt.i = (dv), .max.i = (int64_t)(sizeof(list) / sizeof((list)[0])) - 2,          \
		.doc = __VA_ARGS__                                                                 \
	}
/* dv: the name of a plugin of that kind, or NULL for none. */
#define RT_PARAM_COMPONENT(S, f, KIND, dv, ...)                                                    \
	{                                                                                          \
		.name = #f, .type = RT_COMPONENT, .of = RT_KIND_##KIND,                            \
		.offset = RT_FIELD(S, f, struct rt_component *), .dflt.s = (dv),                   \
		.doc = __VA_ARGS__                                                                 \
	}
#define RT_PARAM_INPUT(S, f, TYPE, ...)                                                            \
	{                                                                                          \
		.name = #f, .type = RT_INPUT, .of = RT_##TYPE,                                     \
		.offset = RT_FIELD(S, f, const struct rt_artifact *), .doc = __VA_ARGS__           \
	}

/* Lists; least and most are the numbers of values that are allowed (most 0: any). */
#define RT_PARAM_INTS(S, f, lo, hi, fewest, most_, un, ...)                                        \
	{                                                                                          \
		.name = #f, .unit = (un), .type = RT_INT, .list = 1,                               \
		.offset = RT_FIELD(S, f, struct rt_ints), .min.i = (lo), .max.i = (hi),            \
		.least = (fewest), .most = (most_), .doc = __VA_ARGS__                             \
	}
#define RT_PARAM_REALS(S, f, lo, hi, fewest, most_, un, ...)                                       \
	{                                                                                          \
		.name = #f, .unit = (un), .type = RT_REAL, .list = 1,                              \
		.offset = RT_FIELD(S, f, struct rt_reals), .min.r = (lo), .max.r = (hi),           \
		.least = (fewest), .most = (most_), .doc = __VA_ARGS__                             \
	}
#define RT_PARAM_STRINGS(S, f, fewest, most_, ...)                                                 \
	{                                                                                          \
		.name = #f, .type = RT_STRING, .list = 1,                                          \
		.offset = RT_FIELD(S, f, struct rt_strings), .least = (fewest), .most = (most_),   \
		.doc = __VA_ARGS__                                                                 \
	}
#define RT_PARAM_PATHS(S, f, fewest, most_, ...)                                                   \
	{                                                                                          \
		.name = #f, .type = RT_PATH, .list = 1,                                            \
		.offset = RT_FIELD(S, f, struct rt_strings), .least = (fewest), .most = (most_),   \
		.doc = __VA_ARGS__                                                                 \
	}
#define RT_PARAM_COMPONENTS(S, f, KIND, fewest, most_, ...)                                        \
	{                                                                                          \
		.name = #f, .type = RT_COMPONENT, .of = RT_KIND_##KIND, .list = 1,                 \
		.offset = RT_FIELD(S, f, struct rt_components), .least = (fewest),                 \
		.most = (most_), .doc = __VA_ARGS__                                                \
	}
#define RT_PARAM_INPUTS(S, f, TYPE, fewest, most_, ...)                                            \
	{                                                                                          \
		.name = #f, .type = RT_INPUT, .of = RT_##TYPE, .list = 1,                          \
		.offset = RT_FIELD(S, f, struct rt_inputs), .least = (fewest), .most = (most_),    \
		.doc = __VA_ARGS__                                                                 \
	}
#define RT_PARAM_END                                                                               \
	{                                                                                          \
		.name = NULL                                                                       \
	}

#endif
