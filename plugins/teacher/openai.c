/* openai.c - teacher-openai: a model behind HTTP that speaks OpenAI's chat completions.
 *
 *   openai-request  a request as it goes over the wire
 *   openai-http     one exchange, by way of libcurl's multi interface
 *   openai-wait     when to try again
 *   openai-reply    what came, checked
 *   openai-cache    replies and what they cost, in SQLite
 *   openai-keep     from the reply to the cache, the record and the stage
 *   openai-ask      the loop over all of it
 *
 * A reply is in the cache before anybody sees it: it is asked for again by no run, on any row with
 * the same id and the same request.  The key is read from the environment and goes into one
 * header; what a server echoes of it is blacked out. */
#include "openai.h"

#include "openai-request.h"

#include <retort/memory.h>

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct rt_param params[] = {
	RT_PARAM_STRING(struct openai_config, model, NULL, "The model's name at the server.",
	                .flags = RT_P_REQUIRED),
	RT_PARAM_STRING(struct openai_config, url, NULL,
	                "Base of the API, such as http://localhost:8080/v1."),
	RT_PARAM_STRING(struct openai_config, url_env, NULL,
	                "Or the environment variable that has it, OPENAI_BASE_URL by custom.",
	                .flags = RT_P_ENV),
	RT_PARAM_STRING(struct openai_config, key_env, "OPENAI_API_KEY",
	                "Environment variable with the key; \"\" for a server that wants none.",
	                .flags = RT_P_ENV | RT_P_NOKEY),
	RT_PARAM_INT(struct openai_config, parallel, 8, 1, 1024, "requests",
	             "How many are under way at once.", .flags = RT_P_NOKEY),
	RT_PARAM_INT(struct openai_config, retries, 6, 0, 100, "tries",
	             "How often a request is sent again after a failure that may pass.",
	             .flags = RT_P_NOKEY),
	RT_PARAM_REAL(struct openai_config, timeout, 600, .001, 86400, "seconds",
	              "Longest time for one answer.", .flags = RT_P_NOKEY),
	RT_PARAM_REAL(struct openai_config, connect_timeout, 30, .001, 3600, "seconds",
	              "Longest time for a connection.", .flags = RT_P_NOKEY),
	RT_PARAM_REAL(
		struct openai_config, max_wait, 300, 0, 86400, "seconds",
		"Longest wait that a server may ask for; the stage stops when it asks for more.",
		.flags = RT_P_NOKEY),
	RT_PARAM_REAL(struct openai_config, input_price, 0, 0, 1e6, "money",
	              "Price of a million input tokens; both prices 0: unknown.",
	              .flags = RT_P_NOKEY),
	RT_PARAM_REAL(struct openai_config, output_price, 0, 0, 1e6, "money",
	              "Price of a million output tokens.", .flags = RT_P_NOKEY),
	RT_PARAM_REAL(struct openai_config, max_cost, 0, 0, 1e9, "money",
	              "The most that the stage may spend in all its runs; 0: no limit.",
	              .flags = RT_P_NOKEY),
	RT_PARAM_PATH(struct openai_config, cache, NULL,
	              "SQLite file of all replies; default: retort/replies.sqlite in the user's "
	              "cache folder.",
	              .flags = RT_P_NOKEY | RT_P_WRITTEN),
	RT_PARAM_PATH(struct openai_config, record, NULL,
	              "JSON Lines file to which every reply is appended, for teacher-replay.",
	              .flags = RT_P_NOKEY | RT_P_WRITTEN),
	RT_PARAM_INT(struct openai_config, draw, 0, 0, INT64_MAX, NULL,
	             "Another number asks anew where the cache has an answer already."),
	RT_PARAM_STRING(
		struct openai_config, extra, NULL,
		"JSON object merged into every request (RFC 7386): adds, replaces, and with "
		"null removes."),
	RT_PARAM_END
};

static int read_extra(const char *text, struct rt_json **ret, struct rt_error *err)
{
	struct rt_json *o = NULL;
	int             r;

	if (!text)
		return 0;
	r = rt_json_parse(text, strlen(text), "extra", 1, &o, err);
	if (r == 0 && !rt_json_is(o, RT_JSON_OBJECT))
		r = rt_fail(err, RT_E_USAGE, "extra is %s, want an object", rt_json_type_name(o));
	if (r == 0 && rt_json_bool(rt_json_get(o, "stream"), false))
		r = rt_fail(err, RT_E_USAGE, "extra asks for a stream, which is not read here");
	if (r < 0)
		rt_json_free(o);
	else
		*ret = o;
	return r;
}

/* http[s]://host..., without a password in it.  What a variable of the environment holds is not
 * told. */
static int check_url(const char *variable, const char *url, struct rt_error *err)
{
	const char  *host = strncmp(url, "http://", 7) == 0    ? url + 7
	                    : strncmp(url, "https://", 8) == 0 ? url + 8
	                                                       : NULL;
	const size_t n = host ? strcspn(host, "/?#") : 0;
	const char  *wrong = NULL;

	if (n == 0)
		wrong = "is no address, want http://... or https://...";
	else if (memchr(host, '@', n))
		wrong = "has a user name in it; credentials go into key_env";
	else if (strpbrk(host, "?#"))
		wrong = "has a query, want the base alone";
	if (!wrong)
		return 0;
	return variable ? rt_fail(err, RT_E_USAGE, "%s in the environment %s", variable, wrong)
	       : memchr(url, '@', strlen(url))
	               ? rt_fail(err, RT_E_USAGE, "url %s", wrong)
	               : rt_fail(err, RT_E_USAGE, "url = \"%s\" %s", url, wrong);
}

/* Of what is there already; whether a variable is set is not asked here. */
static int check_address(const struct openai_config *c, struct rt_error *err)
{
	const char *url = c->url ? c->url : getenv(c->url_env);

	return url && *url ? check_url(c->url ? NULL : c->url_env, url, err) : 0;
}

static int check(const void *config, struct rt_error *err)
{
	const struct openai_config *c = config;
	struct rt_json             *extra = NULL;
	int                         r = 0;

	if (!c->url && !c->url_env)
		r = rt_fail(err, RT_E_INVAL,
		            "set url = \"http://...\", or url_env = \"OPENAI_BASE_URL\" to take it "
		            "from the environment");
	else if (c->url && c->url_env)
		r = rt_fail(err, RT_E_USAGE, "url and url_env are both set, want one of them");
	else if (c->max_cost > 0 && c->input_price <= 0 && c->output_price <= 0)
		r = rt_fail(err, RT_E_USAGE,
		            "max_cost = %g needs prices: set input_price and output_price",
		            c->max_cost);
	if (r == 0)
		r = check_address(c, err);
	if (r == 0)
		r = read_extra(c->extra, &extra, err);
	rt_json_free(extra);
	return r;
}

/* The base, with the path of chat completions unless it is there. */
static int open_url(struct openai *o, struct rt_error *err)
{
	static const char path[] = "/chat/completions";
	const char *url = o->cfg->url ? o->cfg->url : rt_env(o->context, o->cfg->url_env, err);
	size_t      n = url ? strlen(url) : 0;
	int         r;

	if (!url)
		return err ? err->code : RT_E_USAGE;
	r = check_url(o->cfg->url ? NULL : o->cfg->url_env, url, err);
	if (r < 0)
		return r;
	while (n > 0 && url[n - 1] == '/')
		n--;
	o->url = n >= strlen(path) && strncmp(url + n - strlen(path), path, strlen(path)) == 0
	                 ? rt_strndup(url, n)
	                 : rt_asprintf("%.*s%s", (int)n, url, path);
	return o->url ? 0 : rt_fail_nomem(err, "an address");
}

static int open_key(struct openai *o, struct rt_error *err)
{
	const char *name = o->cfg->key_env;

	if (!name || !*name)
		return 0;
	o->secret = rt_env(o->context, name, err);
	if (!o->secret)
		return rt_within(err, err ? err->code : RT_E_USAGE,
		                 "key_env (\"\" for a server that wants no key)");
	for (const char *p = o->secret; *p; p++)
		if (!isgraph((unsigned char)*p) || *p == '"' || *p == '\\')
			return rt_fail(
				err, RT_E_INVAL,
				"the key in %s has a character that keys do not have at place "
				"%zu: a blank or a newline perhaps",
				name, (size_t)(p - o->secret) + 1);
	return 0;
}

/* Would others on the way read the key? */
static void warn_of_plain_text(const struct openai *o)
{
	static const char *const here[] = { "localhost", "127.0.0.1", "[::1]" };
	const char              *host = o->url + strlen("http://");

	if (!o->secret || strncmp(o->url, "http://", strlen("http://")) != 0)
		return;
	for (size_t i = 0; i < sizeof here / sizeof *here; i++) {
		const size_t n = strlen(here[i]);

		if (strncmp(host, here[i], n) == 0 && (host[n] == ':' || host[n] == '/'))
			return;
	}
	rt_log(o->context, RT_LOG_WARN,
	       "the key goes to %s unencrypted; use https:// where the network is not yours",
	       o->url);
}

/* On whose account costs go: the stage, wherever it is run from. */
static int open_cache(struct openai *o, struct rt_error *err)
{
	char *stage = realpath(rt_work_dir(o->context), NULL);
	int r = openai_cache_open(&o->cache, o->cfg->cache, stage ? stage : rt_work_dir(o->context),
	                          err);

	free(stage);
	return r == 0 ? openai_cache_spent(o->cache, &o->spent, err) : r;
}

static int open_slots(struct openai *o, struct rt_error *err)
{
	const struct openai_config *c = o->cfg;
	int                         r = openai_http_open(&o->http, o->secret, c->parallel, err);

	o->slots = rt_alloc((size_t)c->parallel, sizeof *o->slots);
	if (!o->slots)
		return rt_fail_nomem(err, "requests");
	for (int64_t i = 0; i < c->parallel; i++)
		o->slots[i].text = (struct rt_text)RT_TEXT_INIT;
	for (int64_t i = 0; r == 0 && i < c->parallel; i++)
		r = openai_exchange_open(&o->slots[i].exchange, &o->http, o->url,
		                         c->connect_timeout, c->timeout, &o->slots[i], err);
	return r;
}

static int open_(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	struct openai *o = state;
	int            r;

	o->cfg = config;
	o->context = c;
	r = open_url(o, err);
	if (r == 0)
		r = open_key(o, err);
	if (r == 0)
		r = read_extra(o->cfg->extra, &o->patch, err);
	if (r == 0)
		warn_of_plain_text(o);
	if (r == 0)
		r = open_cache(o, err);
	if (r == 0 && o->cfg->record)
		r = rt_journal_open_plain(&o->record, o->cfg->record, NULL, NULL, err);
	return r == 0 ? open_slots(o, err) : r;
}

static void say_what_was_done(const struct openai *o)
{
	const struct openai_config *c = o->cfg;

	if (o->paid == 0 && o->recalled == 0)
		return;
	rt_log(o->context, RT_LOG_INFO, "%lld replies from the server, %lld from %s",
	       (long long)o->paid, (long long)o->recalled, openai_cache_path(o->cache));
	if (c->input_price > 0 || c->output_price > 0)
		rt_log(o->context, RT_LOG_INFO, "%.4f spent by this stage so far%s", o->spent,
		       o->told_usage && c->max_cost <= 0 ? ", without replies that do not say"
		                                         : "");
	if (o->doubtful > 0)
		rt_log(o->context, RT_LOG_WARN,
		       "%lld answers were lost on the way or unusable, and may have been charged",
		       (long long)o->doubtful);
}

static void close_(void *state)
{
	struct openai *o = state;

	if (o->cache)
		say_what_was_done(o);
	for (int64_t i = 0; o->slots && i < o->cfg->parallel; i++) {
		openai_exchange_close(&o->slots[i].exchange);
		rt_text_free(&o->slots[i].text);
	}
	rt_free(o->slots);
	openai_http_close(&o->http);
	rt_journal_close(o->record);
	openai_cache_close(o->cache);
	rt_json_free(o->patch);
	rt_free(o->url);
}

static double price(const void *config, double calls, double input_tokens, double output_tokens)
{
	const struct openai_config *c = config;

	(void)calls;
	if (c->input_price <= 0 && c->output_price <= 0)
		return NAN;
	return (input_tokens * c->input_price + output_tokens * c->output_price) / 1e6;
}

static const struct rt_teacher_ops ops = { .size = sizeof ops,
	                                   .chat = openai_chat,
	                                   .price = price };

RT_PLUGIN(teacher_openai, TEACHER, .name = "openai", .version = "1.0", .license = "Apache-2.0",
          .summary =
                  "A model behind HTTP (OpenAI's chat completions): many requests at once, every "
                  "reply kept.",
          .config_size = sizeof(struct openai_config), .params = params,
          .state_size = sizeof(struct openai), .open = open_, .close = close_, .check = check,
          .ops.teacher = &ops);
