/* test-strict.c - answers under a grammar: of a model that knows nothing, each that ends is right.
 */
#include "golden.h"
#include "runner.h"

#include <retort/chat.h>
#include <retort/generate.h>
#include <retort/schema.h>

#include <math.h>
#include <string.h>

enum { REQUESTS = 60, TEXT = 2048 };

struct heard {
	char    text[REQUESTS][TEXT];
	int     finish[REQUESTS];
	int64_t n[REQUESTS];
	int32_t id[REQUESTS][64];
	float   logp[REQUESTS][64];
};
static struct heard heard;

static int hear(void *arg, int64_t i, const struct rt_answer *a, struct rt_error *err)
{
	(void)arg, (void)err;
	ck_assert_uint_lt(a->text_n, TEXT);
	memcpy(heard.text[i], a->text, a->text_n);
	heard.text[i][a->text_n] = '\0';
	heard.finish[i] = (int)a->finish;
	heard.n[i] = a->n;
	for (int64_t k = 0; k < a->n && k < 64; k++) {
		heard.id[i][k] = a->id[k];
		heard.logp[i][k] = a->logp[k];
	}
	return 0;
}

static struct rt_model *open_model(const char *name)
{
	const char      *root = getenv("RETORT_GOLDEN");
	char             path[4096];
	struct rt_model *m;
	struct rt_error  err = RT_ERROR_INIT;

	snprintf(path, sizeof path, "%s/%s", root && *root ? root : GOLDEN_DIR, name);
	ck_assert_msg(rt_model_open(&m, path, 0, &err) == 0, "%s", err.msg);
	return m;
}

static struct rt_json *parse(const char *text)
{
	struct rt_json *j;

	ck_assert_int_eq(rt_json_parse(text, strlen(text), "test", 1, &j, NULL), 0);
	return j;
}

static const int32_t prompt[3] = { 40, 41, 42 };

static void generate(const struct rt_model *m, struct rt_request like, int64_t n)
{
	struct rt_request q[REQUESTS];
	struct rt_engine *e;
	struct rt_error   err = RT_ERROR_INIT;

	like.prompt = prompt;
	like.n = 3;
	for (int64_t i = 0; i < n; i++) {
		q[i] = like;
		q[i].stream = (uint64_t)i;
	}
	memset(&heard, 0, sizeof heard);
	ck_assert_int_eq(rt_engine_open(&e, m, NULL, NULL), 0);
	ck_assert_msg(rt_generate(e, q, n, hear, NULL, NULL, &err) == 0, "%s", err.msg);
	rt_engine_close(e);
}

static const char person[] =
	"{\"type\":\"object\",\"properties\":{\"name\":{\"enum\":[\"Ada\",\"Emmy\"]},\"age\":{"
	"\"type\":\"integer\",\"minimum\":18,\"maximum\":99},\"tall\":{\"type\":\"boolean\"}},"
	"\"required\":[\"name\",\"age\"]}";

static const double heats[] = { 0, 10, 50 };

START_TEST(an_answer_that_ends_fits_its_schema)
	{
		struct rt_model   *m = open_model("gguf/tiny-qwen2.gguf");
		struct rt_json    *schema = parse(person);
		struct rt_grammar *g;
		int                ended = 0;

		ck_assert_int_eq(rt_grammar_json(&g, schema, NULL), 0);
		generate(m,
		         (struct rt_request){ .grammar = g,
		                              .max_tokens = 1000,
		                              .sampling = { .temperature = heats[_i] },
		                              .seed = 5 },
		         REQUESTS);
		for (int i = 0; i < REQUESTS; i++) {
			struct rt_json *value;
			char            why[100] = "";

			if (heard.finish[i] == RT_FINISH_LENGTH)
				continue;
			ended++;
			ck_assert_int_eq(heard.finish[i], RT_FINISH_STOP);
			value = parse(heard.text[i]);
			ck_assert_msg(rt_schema_fits(schema, value, why, sizeof why, NULL) == 1,
			              "%s: %s", heard.text[i], why);
			rt_json_free(value);
		}
		ck_assert_int_ge(ended, heats[_i] > 0 ? REQUESTS / 4 : 1);
		rt_json_free(schema);
		rt_grammar_free(g);
		rt_model_close(m);
	}
END_TEST

START_TEST(calls_that_are_required_are_made)
	{
		struct rt_model   *m = open_model("gguf/tiny-qwen2.gguf");
		struct rt_json    *list;
		struct rt_grammar *g;
		int                ended = 0;

		list = parse("[{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"enum\":"
		             "[1,2]}}}}]");
		ck_assert_int_eq(rt_grammar_calls(&g, list, "required", NULL), 0);
		generate(m,
		         (struct rt_request){ .grammar = g,
		                              .max_tokens = 1000,
		                              .sampling = { .temperature = 50 },
		                              .seed = 6 },
		         REQUESTS);
		for (int i = 0; i < REQUESTS; i++) {
			struct rt_json *calls;
			struct rt_text  content = RT_TEXT_INIT;

			if (heard.finish[i] != RT_FINISH_STOP)
				continue;
			ended++;
			ck_assert_int_eq(rt_chat_calls(heard.text[i], strlen(heard.text[i]), &calls,
			                               &content, NULL),
			                 0);
			ck_assert_uint_ge(rt_json_length(calls), 1);
			ck_assert_uint_eq(content.len, 0);
			rt_json_free(calls);
			rt_text_free(&content);
		}
		ck_assert_int_ge(ended, 5);
		rt_json_free(list);
		rt_grammar_free(g);
		rt_model_close(m);
	}
END_TEST

/* A grammar that nothing is against changes nothing: the same tokens and log-probabilities. */
START_TEST(what_fits_by_itself_is_not_touched)
	{
		struct rt_model    *m = open_model("gguf/tiny-qwen2.gguf");
		struct rt_json     *list = parse("[{\"name\":\"f\"}]");
		struct rt_grammar  *g;
		static struct heard plain;
		int                 compared = 0;
		struct rt_request   q = { .max_tokens = 40,
			                  .ignore_stops = true,
			                  .sampling = { .temperature = heats[_i] } };

		ck_assert_int_eq(rt_grammar_calls(&g, list, NULL, NULL), 0);
		generate(m, q, 8);
		plain = heard;
		q.grammar = g;
		generate(m, q, 8);
		for (int i = 0; i < 8; i++)
			if (!strpbrk(plain.text[i], "{<[")) {
				compared++;
				ck_assert_str_eq(heard.text[i], plain.text[i]);
				ck_assert_mem_eq(heard.logp[i], plain.logp[i],
				                 sizeof plain.logp[i]);
			}
		ck_assert_int_ge(compared, heats[_i] > 0);
		rt_json_free(list);
		rt_grammar_free(g);
		rt_model_close(m);
	}
END_TEST

/* What nothing can be added to has ended, also without a stop token. */
START_TEST(an_answer_that_is_whole_ends)
	{
		struct rt_model   *m = open_model("gguf/tiny-qwen2.gguf");
		struct rt_json    *schema = parse("{\"enum\":[12,[true]]}");
		struct rt_grammar *g;

		ck_assert_int_eq(rt_grammar_json(&g, schema, NULL), 0);
		generate(m,
		         (struct rt_request){ .grammar = g,
		                              .max_tokens = 120,
		                              .top = 2,
		                              .sampling = { .temperature = 50 },
		                              .ignore_stops = true },
		         20);
		for (int i = 0; i < 20; i++) {
			ck_assert_int_eq(heard.finish[i], RT_FINISH_STOP);
			ck_assert(strstr(heard.text[i], "12") || strstr(heard.text[i], "[true]"));
		}
		rt_json_free(schema);
		rt_grammar_free(g);
		rt_model_close(m);
	}
END_TEST

START_TEST(a_grammar_needs_a_tokenizer)
	{
		struct rt_model   *m = open_model("qwen2-bf16-sharded");
		struct rt_engine  *e;
		struct rt_grammar *g;
		struct rt_error    err = RT_ERROR_INIT;
		struct rt_request  q = { .prompt = prompt, .n = 3, .max_tokens = 4 };

		ck_assert(!rt_model_tokenizer(m));
		ck_assert_int_eq(rt_grammar_json(&g, NULL, NULL), 0);
		q.grammar = g;
		ck_assert_int_eq(rt_engine_open(&e, m, NULL, NULL), 0);
		ck_assert_int_eq(rt_generate(e, &q, 1, hear, NULL, NULL, &err), RT_E_INVAL);
		ck_assert(strstr(err.msg, "a grammar needs a model with a tokenizer") != NULL);
		rt_engine_close(e);
		rt_grammar_free(g);
		rt_model_close(m);
	}
END_TEST

RUNNER("strict", 120, {
	TABLE_TEST(tc, an_answer_that_ends_fits_its_schema, heats);
	tcase_add_test(tc, calls_that_are_required_are_made);
	TABLE_TEST(tc, what_fits_by_itself_is_not_touched, heats);
	tcase_add_test(tc, an_answer_that_is_whole_ends);
	tcase_add_test(tc, a_grammar_needs_a_tokenizer);
})
