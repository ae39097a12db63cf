/* convert.c - retort convert: a model to another file format and number type, and what that did
 * to its logits. */
#include "cli/lines.h"

#include "cli/command.h"
#include "cli/progress.h"

#include <retort/file.h>
#include <retort/memory.h>
#include <retort/random.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { TOKENS = 128, RANDOM_TOKENS = 64 };

/* What is read where there is a tokenizer. */
static const char sample_text[] =
	"The quick brown fox jumps over the lazy dog. Book a table for four at seven tomorrow, "
	"then play some jazz in the kitchen at 40% volume.\n"
	"{\"name\": \"set_volume\", \"arguments\": {\"room\": \"kitchen\", \"percent\": 40}}\n"
	"Whether the weather be cold, or whether the weather be hot, we'll weather the weather.";

struct job {
	const char      *from, *to;
	char            *part; /* where it grows until it is whole */
	struct rt_model *before, *after;
	enum rt_dtype    type;
	bool             gguf, force, json;
	double           max_kl; /* 0: none */
	/* what was seen */
	int64_t tokens, agree, fallen;
	double  largest, kl, scale;
};

static void free_job(struct job *j)
{
	rt_model_close(j->before);
	rt_model_close(j->after);
	rt_free(j->part);
}

static bool ends_in(const char *s, const char *end)
{
	const size_t n = strlen(s), k = strlen(end);

	return n > k && strcmp(s + n - k, end) == 0;
}

/* ---- where to ------------------------------------------------------------------------------- */

static bool same_place(const char *a, const char *b)
{
	char *x = realpath(a, NULL), *y = realpath(b, NULL);
	bool  same = x && y && strcmp(x, y) == 0;

	free(x);
	free(y);
	return same;
}

/* What a folder with a model holds: whatever retort writes there, and the same by other names that
 * tokenizers and weights have. */
static bool is_part(const char *name)
{
	static const char *const parts[] = { "config.json",
		                             "generation_config.json",
		                             "model.gguf",
		                             "model.safetensors.index.json",
		                             "tokenizer.json",
		                             "tokenizer_config.json",
		                             "special_tokens_map.json",
		                             "added_tokens.json",
		                             "vocab.json",
		                             "merges.txt",
		                             "encoder.json",
		                             "vocab.bpe",
		                             "chat_template.jinja" };

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (strcmp(name, parts[i]) == 0)
			return true;
	return ends_in(name, ".safetensors");
}

struct contents {
	int64_t n;
	bool    config;
	char   *foreign; /* the first that is no part of a model; NULL: none */
};

static int look_at(void *arg, const char *name, bool is_dir, struct rt_error *err)
{
	struct contents *c = arg;

	c->n++;
	c->config |= strcmp(name, "config.json") == 0;
	if (c->foreign || (!is_dir && is_part(name)))
		return 0;
	c->foreign = rt_asprintf("%s%s", name, is_dir ? "/" : "");
	return c->foreign ? 0 : rt_fail_nomem(err, name);
}

/* 1 where the folder is empty.  Only a model is ever replaced: never a folder of other things, nor
 * one that holds other things besides. */
static int check_folder(const struct job *j, struct rt_error *err)
{
	struct contents c = { 0 };
	int             r = rt_list_dir(j->to, look_at, &c, err);

	if (r == 0 && c.n == 0)
		r = 1;
	else if (r == 0 && !c.config)
		r = rt_fail(err, RT_E_USAGE,
		            "%s is no model, and is not replaced; choose another folder", j->to);
	else if (r == 0 && c.foreign)
		r = rt_fail(err, RT_E_USAGE,
		            "%s holds %s, which is no part of a model and would be lost: move it "
		            "away, or choose another folder",
		            j->to, c.foreign);
	rt_free(c.foreign);
	return r;
}

static int check_target(const struct job *j, struct rt_error *err)
{
	struct stat st;
	int         r = 0;

	if (stat(j->to, &st) != 0)
		return 0;
	if (same_place(j->from, j->to))
		return rt_fail(err, RT_E_USAGE, "%s cannot be converted onto itself", j->from);
	if (S_ISDIR(st.st_mode) == j->gguf)
		return rt_fail(err, RT_E_USAGE, "%s is %s, and is not replaced; choose another %s",
		               j->to, j->gguf ? "a folder" : "no folder",
		               j->gguf ? "file" : "folder");
	if (!j->gguf)
		r = check_folder(j, err);
	if (r != 0)
		return r < 0 ? r : 0;
	return j->force ? 0
	                : rt_fail(err, RT_E_USAGE, "%s is there already; --force replaces it",
	                          j->to);
}

static int pick_type(struct job *j, const char *name, struct rt_error *err)
{
	const enum rt_dtype         own = rt_model_shape(j->before)->dtype;
	const int                   asked = name ? rt_dtype_find(name) : -1;
	const struct rt_dtype_info *info = name ? rt_dtype_info(asked) : NULL;
	const bool                  plain = own == RT_F32 || own == RT_F16 || own == RT_BF16;

	if (name && (!info || !info->from_float))
		return rt_fail(
			err, RT_E_USAGE,
			"convert: --type %s: there are f32, f16, bf16, and for GGUF q8_0, "
			"q6_k, q5_k, q5_1, q5_0, q4_k, q4_1, q4_0, iq4_nl, iq4_xs, q3_k, q2_k",
			name);
	j->type = name ? (enum rt_dtype)asked : j->gguf || plain ? own : RT_BF16;
	if (!j->gguf && rt_dtype_info(j->type)->block > 1)
		return rt_fail(err, RT_E_USAGE,
		               "convert: a folder holds f32, f16 or bf16; %s needs a TO that ends "
		               "in .gguf",
		               rt_dtype_info(j->type)->name);
	return 0;
}

/* ---- the check ------------------------------------------------------------------------------ */

static int sample_ids(const struct job *j, struct rt_ids *ids, struct rt_error *err)
{
	const struct rt_model_shape *s = rt_model_shape(j->before);
	const struct rt_tokenizer   *t = rt_model_tokenizer(j->before);
	const int64_t                most = s->context < TOKENS ? s->context : TOKENS;
	int                          r = 0;

	if (t)
		r = rt_tokenizer_encode(t, sample_text, sizeof sample_text - 1, RT_ENCODE_TEMPLATE,
		                        ids, err);
	else
		for (uint64_t i = 0; i < RANDOM_TOKENS; i++)
			rt_ids_add(ids, (int32_t)rt_random_below(1, 0, i, (uint64_t)s->vocabulary));
	if (r == 0 && ids->failed)
		r = rt_fail_nomem(err, "a text");
	if ((int64_t)ids->len > most)
		ids->len = (size_t)most;
	return r;
}

static int hidden_of(const struct rt_model *m, const struct rt_ids *ids, float *hidden,
                     struct rt_error *err)
{
	const int64_t   n = (int64_t)ids->len;
	int32_t         position[TOKENS];
	struct rt_span  span = { 0, n, 0, n, 0 };
	struct rt_batch b = { ids->data, position, n, &span, 1 };

	for (int i = 0; i < TOKENS; i++)
		position[i] = i;
	return rt_model_forward(m, &b, NULL, hidden, err);
}

static double log_sum(const float *x, int64_t n)
{
	double most = -INFINITY, sum = 0;

	for (int64_t i = 0; i < n; i++)
		most = fmax(most, x[i]);
	for (int64_t i = 0; i < n; i++)
		sum += exp(x[i] - most);
	return most + log(sum);
}

/* One row of both. */
static void compare(struct job *j, const float *a, const float *b, int64_t n)
{
	const double la = log_sum(a, n), lb = log_sum(b, n);
	int64_t      best_a = 0, best_b = 0;

	for (int64_t i = 0; i < n; i++) {
		const double p = a[i] - la, q = b[i] - lb, d = fabs((double)a[i] - b[i]);

		j->kl += exp(p) * (p - q);
		j->largest = d > j->largest || isnan(d) ? d : j->largest;
		j->scale = fmax(j->scale, fabs(a[i]));
		best_a = a[i] > a[best_a] ? i : best_a;
		best_b = b[i] > b[best_b] ? i : best_b;
	}
	j->agree += best_a == best_b;
	j->tokens++;
}

static int compare_logits(struct job *j, struct rt_error *err)
{
	const int64_t n = rt_model_shape(j->before)->hidden,
		      V = rt_model_shape(j->before)->vocabulary;
	float        *x = rt_alloc_aligned(2 * TOKENS, (size_t)n * sizeof *x);
	float        *y = rt_alloc_aligned(2, (size_t)V * sizeof *y);
	struct rt_ids ids = RT_IDS_INIT;
	int           r = x && y ? sample_ids(j, &ids, err) : rt_fail_nomem(err, "a comparison");

	if (r == 0)
		r = hidden_of(j->before, &ids, x, err);
	if (r == 0)
		r = hidden_of(j->after, &ids, x + TOKENS * n, err);
	for (int64_t i = 0; r == 0 && i < (int64_t)ids.len; i++) {
		r = rt_model_logits(j->before, x + i * n, 1, y, err);
		if (r == 0)
			r = rt_model_logits(j->after, x + (TOKENS + i) * n, 1, y + V, err);
		if (r == 0)
			compare(j, y, y + V, V);
	}
	if (j->tokens)
		j->kl /= (double)j->tokens;
	rt_free(x);
	rt_free(y);
	rt_ids_free(&ids);
	return r;
}

/* Does no number change?  Then logits differ by the order of sums only, which a thousandth of the
 * largest is far above. */
static int judge(const struct job *j, struct rt_error *err)
{
	const enum rt_dtype own = rt_model_shape(j->before)->dtype;
	const bool          lossless =
		j->type == RT_F32 || (own == j->type && rt_dtype_info(own)->block == 1);

	if (!(isfinite(j->largest) && isfinite(j->kl)))
		return rt_fail(err, RT_E_NUMERIC, "%s: its logits are not finite", j->to);
	if (lossless && j->largest > 1e-3 * j->scale)
		return rt_fail(err, RT_E_NUMERIC,
		               "%s: logits differ by %.3g although no weight was rounded", j->to,
		               j->largest);
	if (j->max_kl > 0 && j->kl > j->max_kl)
		return rt_fail(err, RT_E_GATE,
		               "%s: mean KL is %.3g, --max-kl allows %.3g; nothing was kept", j->to,
		               j->kl, j->max_kl);
	return 0;
}

/* ---- the work ------------------------------------------------------------------------------- */

static int write_it(struct job *j, struct rt_error *err)
{
	int r = rt_remove_all(j->part, err);

	if (r == 0 && !j->gguf)
		r = rt_mkdir_all(j->part, err);
	progress_step("convert", "writing, and reading again");
	if (r == 0)
		r = j->gguf ? rt_model_write_gguf(j->before, j->part, j->type, j->from, err)
		            : rt_model_write(j->before, j->part, j->type, j->from, err);
	if (r == 0)
		r = rt_model_open(&j->after, j->part, 0, err);
	for (int64_t i = 0; r == 0 && i < rt_model_parameters(j->after); i++) {
		const struct rt_tensor t = rt_model_parameter(j->after, i).tensor;

		j->fallen += t.ndim == 2 && t.dtype != (uint32_t)j->type;
	}
	progress_step("convert", "comparing logits");
	if (r == 0)
		r = compare_logits(j, err);
	progress_clear();
	return r == 0 ? judge(j, err) : r;
}

static int move_it(const struct job *j, struct rt_error *err)
{
	return j->force ? rt_replace(j->part, j->to, err) : rt_rename(j->part, j->to, err);
}

static void print_side(const char *path, const struct rt_model *m)
{
	const struct rt_model_shape *s = rt_model_shape(m);

	printf("%s: %s, %.1f MB, %.3f bits a weight\n", path, rt_dtype_info(s->dtype)->name,
	       (double)s->bytes / 1e6, 8. * (double)s->bytes / (double)s->parameters);
}

static int print_json(const struct job *j, struct rt_error *err)
{
	struct rt_json *o = rt_json_new_object();
	int             r = o ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_json_set(o, "from", rt_json_new_string(j->from));
		r |= rt_json_set(o, "to", rt_json_new_string(j->to));
		r |= rt_json_set(o, "type", rt_json_new_string(rt_dtype_info(j->type)->name));
		r |= rt_json_set(o, "bytes_before",
		                 rt_json_new_int(rt_model_shape(j->before)->bytes));
		r |= rt_json_set(o, "bytes", rt_json_new_int(rt_model_shape(j->after)->bytes));
		r |= rt_json_set(o, "other_type", rt_json_new_int(j->fallen));
		r |= rt_json_set(o, "tokens", rt_json_new_int(j->tokens));
		r |= rt_json_set(o, "max_difference", rt_json_new_real(j->largest));
		r |= rt_json_set(o, "mean_kl", rt_json_new_real(j->kl));
		r |= rt_json_set(o, "same_best", rt_json_new_int(j->agree));
	}
	if (r == 0)
		return lines_put(o, err);
	rt_json_free(o);
	return rt_fail_nomem(err, "a report");
}

static int print(const struct job *j, struct rt_error *err)
{
	if (j->json)
		return print_json(j, err);
	print_side(j->from, j->before);
	print_side(j->to, j->after);
	if (j->fallen)
		printf("%lld matrices are of another type than %s: its blocks of %lld do not "
		       "divide "
		       "their rows\n",
		       (long long)j->fallen, rt_dtype_info(j->type)->name,
		       (long long)rt_dtype_info(j->type)->block);
	printf("logits over %lld tokens: largest difference %.3g (logits up to %.3g), mean KL %.3g "
	       "nats, same best token %lld times\n",
	       (long long)j->tokens, j->largest, j->scale, j->kl, (long long)j->agree);
	return 0;
}

static int convert(struct job *j, const char *type, struct rt_error *err)
{
	int r;

	j->gguf = ends_in(j->to, ".gguf");
	r = check_target(j, err);
	if (r == 0)
		r = lines_model(&j->before, j->from, 0, err);
	if (r == 0)
		r = pick_type(j, type, err);
	if (r < 0)
		return r;
	j->part = rt_asprintf("%.*s.part%s", (int)(strlen(j->to) - (ends_in(j->to, "/") ? 1 : 0)),
	                      j->to, j->gguf ? ".gguf" : "");
	if (!j->part)
		return rt_fail_nomem(err, "a path");
	r = write_it(j, err);
	if (r == 0)
		r = move_it(j, err);
	if (r < 0)
		rt_remove_all(j->part, NULL);
	return r == 0 ? print(j, err) : r;
}

static int run(const struct command *self, int argc, char **argv, struct rt_error *err)
{
	struct job          j = { 0 };
	const char         *type = NULL;
	const struct option options[] = {
		{ "type", 't', "TYPE", "f32, f16, bf16; GGUF also q8_0, q6_k, q4_k, ...", OPT_TEXT,
		  &type, 0, 0 },
		{ "force", 'f', NULL, "replace a model that is there", OPT_FLAG, &j.force, 0, 0 },
		{ "max-kl", 0, "NATS", "exit status 3 when the mean KL is above", OPT_REAL,
		  &j.max_kl, 0, 1000 },
		{ "json", 0, NULL, "the report as one JSON object", OPT_FLAG, &j.json, 0, 0 },
		OPTION_END
	};
	int r = options_read(self, options, &argc, argv, 2, 2, err);

	if (r != 0)
		return r < 0 ? r : 0;
	j.from = argv[0];
	j.to = argv[1];
	r = convert(&j, type, err);
	free_job(&j);
	return r;
}

const struct command command_convert = {
	.name = "convert",
	.arguments = "FROM TO",
	.summary = "Turn a model into another format or number type, and check it.",
	.help = "TO is a GGUF file when its name ends in .gguf, else a folder as Hugging Face\n"
		"has it (shards of 5 GB).  The type is that of FROM, if not said.  Tokenizer,\n"
		"template and stop tokens go along; where the other format cannot say them, that\n"
		"is an error.  What was written is read again and compared, and its logits for a\n"
		"fixed text (random ids without a tokenizer) are held against those of FROM.\n"
		"--force replaces a file, or a folder that holds a model and nothing else.\n"
		"\n"
		"    retort convert student student-q4_k.gguf --type q4_k --max-kl 0.05\n",
	.run = run,
};
