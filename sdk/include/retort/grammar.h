/* retort/grammar.h - what an answer may be: tool calls or JSON that fit their schemas, kept byte by
 * byte while they are written.
 *
 *     struct rt_grammar *g;
 *     rt_grammar_calls(&g, tools, NULL, err);
 *     request.grammar = g;  ...  rt_generate(...)  ...
 *     rt_grammar_free(g);
 *
 * Whatever the grammar lets through, when it has ended, is JSON without a key twice that
 * rt_schema_fits() accepts - but for oneOf, see below.  Schemas are those of retort/schema.h, where
 * some mean less while an answer is written than they might:
 *   properties      keys come in any order, each at most once, required ones before the end; no
 *                   others, whatever additionalProperties says.  An object without properties may
 *                   have any keys, 16 at most
 *   oneOf           is read as anyOf: that no second form fits is not seen to
 *   number, integer have at most 15 and 18 digits; with limits no exponent
 *   strings         characters beyond U+FFFF stand as they are, not as pairs of \u
 *   blanks          one between two signs, or a line's end and at most 32 blanks and tabs: a
 *                   model that may not write what it would could else write blanks for ever
 *   nesting         32 values deep
 *   counts          128 properties of an object, 32 objects (arrays, other values) among the
 *                   forms of a choice, 4,096 values of an enum and tools: more is RT_E_RANGE
 * and some cannot be kept to: multipleOf, uniqueItems, not, allOf of several, and $ref, anyOf or
 * oneOf beside other restrictions (enum and const may stand beside any).  Those are RT_E_UNSUP with
 * tool and place: never passed over. */
#ifndef RETORT_GRAMMAR_H
#define RETORT_GRAMMAR_H

#include <retort/json.h>

struct rt_grammar;

/* The whole answer is one JSON value that fits the schema; NULL: any object.  Nothing of the schema
 * is kept.  [any] */
int rt_grammar_json(struct rt_grammar **ret, const struct rt_json *schema, struct rt_error *err);

/* An answer with calls of these tools (as in a request: { type, function: { name, parameters } })
 * in the form of Hermes and Qwen: <tool_call>{"name": ..., "arguments": {...}}</tool_call>.
 *   choice NULL, "auto"   text, in which calls may stand, any number
 *          "required"     calls, one or more, and nothing else
 *          "none"         text in which no call is begun
 *          a tool's name  calls of that one, one or more
 * RT_E_INVAL for a name that no tool has.  [any] */
int rt_grammar_calls(struct rt_grammar **ret, const struct rt_json *tools, const char *choice,
                     struct rt_error *err);

void rt_grammar_free(struct rt_grammar *g); /* NULL is fine */

/* One answer on its way.  It must not outlive the grammar, which any number may share; one thread
 * at a time.  Nothing is allocated after rt_matcher_new(). */
struct rt_matcher;

int  rt_matcher_new(struct rt_matcher **ret, const struct rt_grammar *g, struct rt_error *err);
void rt_matcher_free(struct rt_matcher *m); /* NULL is fine */

/* May these n bytes come next?  rt_matcher_put() also goes there when they may, and stays where it
 * is when not.  A token may begin or end inside of a character. */
bool rt_matcher_may(struct rt_matcher *m, const char *bytes, size_t n);
bool rt_matcher_put(struct rt_matcher *m, const char *bytes, size_t n);

/* May the answer end here? */
bool rt_matcher_may_end(const struct rt_matcher *m);

/* May any text come next that is UTF-8 with nothing below U+0020 and none of " \\ < [ in it?  For
 * whoever has many to ask for. */
bool rt_matcher_takes_text(const struct rt_matcher *m);

/* Is this inside a string of JSON, where a special token has no business? */
bool rt_matcher_in_string(const struct rt_matcher *m);

#endif
