/* jinja.h - the parts of the template interpreter: values, syntax, evaluation.
 *
 * All memory of a template, and of a rendering, lies in a pool and is freed at once.  An error
 * sticks: the first one is kept in r and *err, and everything after it yields undefined. */
#ifndef TEXT_JINJA_H
#define TEXT_JINJA_H

#include <retort/json.h>
#include <retort/memory.h>
#include <retort/text.h>

enum {
	JINJA_DEPTH = 200, /* of expressions, blocks and calls */
	JINJA_STEPS = 5 * 1000 * 1000,
	JINJA_OUTPUT = 64 << 20,
	JINJA_MEMORY = 512 << 20
};

enum val_type {
	V_UNDEF,
	V_NONE,
	V_BOOL,
	V_INT,
	V_REAL,
	V_STR,
	V_LIST,
	V_DICT,
	V_SPACE,
	V_LOOP,
	V_MACRO,
	V_FUNC
};

struct val {
	enum val_type t;
	union {
		bool         b;
		int64_t      i; /* also which function a V_FUNC is */
		double       d;
		const char  *s; /* of V_UNDEF: the name that is not defined, or NULL */
		struct list *list;
		struct dict *dict; /* of a namespace, too */
		struct loop *loop;
		struct node *macro;
	} u;
	size_t n; /* bytes of a string */
};

struct list {
	struct val *v;
	size_t      n, cap;
};

struct dict { /* few members: sought one by one, in order */
	struct val *key, *value;
	size_t      n, cap;
};

struct loop {
	struct list *list;
	size_t       at;
	int64_t      depth;
};

enum node_type {
	/* statements */
	N_TEXT,
	N_OUT,
	N_IF,
	N_FOR,
	N_SET,
	N_SETBLOCK,
	N_MACRO,
	N_CALLBLOCK,
	N_FILTERBLOCK,
	N_GROUP,
	N_BREAK,
	N_CONTINUE,
	/* expressions */
	N_CONST,
	N_NAME,
	N_LISTOF,
	N_DICTOF,
	N_ATTR,
	N_ITEM,
	N_SLICE,
	N_CALL,
	N_FILTER,
	N_TEST,
	N_NOT,
	N_NEG,
	N_AND,
	N_OR,
	N_BINARY,
	N_IFELSE,
	N_KEYWORD
};

struct node {
	enum node_type t;
	int            line, op; /* op: of N_BINARY; N_TEST: negated */
	struct node   *a, *b, *c, *d, *next;
	const char    *s;
	size_t         n;
	struct val     v;
};

/* Memory, and the error that sticks. */
struct pool {
	struct rt_arena  arena;
	char            *at;
	size_t           left;
	int              r, line, depth;
	struct rt_error *err;
};
void *pool_take(struct pool *p, size_t n); /* zeroed; NULL after an error */
void  pool_fail(struct pool *p, int code, const char *fmt, ...) RT_PRINTF(3, 4);

/* The syntax tree of a template, in p; NULL with an error in p. */
struct node *jinja_parse(struct pool *p, const char *s, size_t n);

struct frame {
	struct dict   vars;
	struct frame *up;
};

struct run {
	struct pool    pool;
	struct frame  *frame, *global;
	struct rt_text out;
	int64_t        steps, now;
	int            leave; /* 1 break, 2 continue */
};

/* jinja-value.c */
struct val  val_str(struct run *x, const char *s, size_t n); /* copies */
struct val  val_text(struct run *x, struct rt_text *t);      /* takes it over: t is freed */
struct val  val_int(int64_t i);
struct val  val_bool(bool b);
struct val  val_list(struct run *x);
struct val  val_dict(struct run *x);
void        val_append(struct run *x, struct val list, struct val v);
void        val_put(struct run *x, struct dict *d, struct val key, struct val v);
struct val *val_get(const struct dict *d, const char *key, size_t n);
bool        val_true(struct val v);
bool        val_equal(struct val a, struct val b);
int         val_order(struct run *x, struct val a, struct val b);
void val_print(struct run *x, struct val v, bool repr, struct rt_text *out); /* str(), repr() */

/* json.dumps() of Python: indent < 0 on one line; ascii: the rest as \u....; what stands between.
 */
struct json_style {
	int64_t     indent;
	bool        ascii;
	const char *comma, *colon;
};
void         val_json(struct run *x, struct val v, const struct json_style *s, int level,
                      struct rt_text *out);
struct val   val_from_json(struct run *x, const struct rt_json *j);
struct list *val_items(struct run *x, struct val v); /* what iterating yields; NULL with an error */
const char  *val_name(struct val v);
int64_t      val_length(struct run *x, struct val v);

/* jinja-builtin.c */
struct args {
	struct val  v[8];
	size_t      n;
	struct dict named;
};
struct val filter_call(struct run *x, const char *name, struct val v, struct args *a);
bool       test_call(struct run *x, const char *name, struct val v, struct args *a);
bool       method_known(struct val v, const char *name);
struct val method_call(struct run *x, struct val v, const char *name, struct args *a);
struct val arg(struct args *a, size_t i, const char *name, struct val otherwise);

/* jinja-string.c */
const char *string_seek(const char *s, size_t n, struct val what); /* where it is, or NULL */
struct val  string_strip(struct run *x, struct val v, struct val set, bool left, bool right);
struct val  string_split(struct run *x, struct val v, struct val by, int64_t limit);
struct val  string_replace(struct run *x, struct val v, struct val from, struct val to,
                           int64_t limit);
bool        string_affix(struct val v, struct val a, bool end);
struct val  string_letters(struct run *x, struct val v, char mode);
struct val  string_indent(struct run *x, struct val v, struct args *a);
struct val  string_format(struct run *x, struct val v, struct args *a);

/* jinja-eval.c */
struct val jinja_eval(struct run *x, struct node *n);
bool       jinja_step(struct run *x, const struct node *n); /* counts; false after an error */
void       jinja_let(struct run *x, struct frame *f, const char *name, size_t n, struct val v);
void       jinja_define(struct run *x, const char *name, struct val v); /* for all of it */
struct val jinja_attr(struct run *x, struct val v, const char *s, size_t n);
void       jinja_arguments(struct run *x, struct node *list, struct args *a);
struct val jinja_call(struct run *x, struct val f, struct args *a);
struct val jinja_macro(struct run *x, struct node *m, struct args *a, const struct val *caller);

/* jinja-run.c */
void       jinja_run(struct run *x, struct node *n);
struct val jinja_capture(struct run *x, struct node *n); /* what the statements write */

#endif
