/* trial-disk.c - tracker, format and stage: what leaves files behind. */
#include "plugin/trial.h"

#include <retort/file.h>
#include <retort/format.h>
#include <retort/memory.h>
#include <retort/rows.h>
#include <retort/stage.h>
#include <retort/tracker.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A new, empty folder of the trial's.  No allocation here: one may be told to fail. */
static char *new_folder(struct trial *t)
{
	static int   number;
	const size_t n = strlen(t->folder) + 16;
	char        *path = trial_output(n, 1);

	snprintf(path, n, "%s/%d", t->folder, number++);
	if (mkdir(path, 0777) < 0)
		_exit(EXIT_FAILURE);
	return path;
}

/* Names and contents of all files in a folder, into a hash. */
struct sum {
	struct rt_hash *hash;
	const char     *folder;
	int             code;
	int64_t         files, bytes;
	char            largest[256];
	int64_t         most;
};

static int sum_file(void *arg, const char *name, bool is_dir, struct rt_error *err)
{
	struct sum   *s = arg;
	char         *path = rt_path_join(s->folder, name);
	struct rt_map m = { 0 };
	int           r = !path ? RT_E_NOMEM : is_dir ? 0 : rt_file_map(&m, path, err);

	if (r == 0 && !is_dir) {
		s->files++;
		s->bytes += (int64_t)m.size;
		rt_hash_add(s->hash, name, strlen(name) + 1);
		rt_hash_add(s->hash, m.data, m.size);
		if ((int64_t)m.size > s->most) {
			s->most = (int64_t)m.size;
			snprintf(s->largest, sizeof s->largest, "%s", name);
		}
	}
	rt_file_unmap(&m);
	rt_free(path);
	return r;
}

static struct sum sum_folder(const char *folder, struct rt_hash *hash)
{
	struct sum s = { .hash = hash, .folder = folder };

	s.code = rt_list_dir(folder, sum_file, &s, NULL);
	return s;
}

/* What the work left behind, into the trial's digest. */
static int digest_folder(struct trial *t, const char *folder, struct rt_error *err)
{
	const int r = sum_folder(folder, &t->digest).code;

	return r < 0 ? rt_fail(err, r, "cannot read back what is in %s", folder) : 0;
}

/* ---- tracker ---- */

static void tracker_prepare(struct trial *t)
{
	t->data = new_folder(t);
}

static int track(struct trial *t, bool resumed, struct rt_error *err)
{
	const struct rt_tracker_ops *ops = t->plugin->ops.tracker;
	struct rt_json              *fields = NULL;
	int                          r = ops->begin(t->state, t->data, "trial", resumed, err);

	rt_json_parse("{\"seconds\":1.5}", 15, "fields", 1, &fields, NULL);
	for (int i = 0; r == 0 && i < 5; i++)
		r = ops->scalar(t->state, 1.7e9 + i, "stage/loss", i, 1.0 / (i + 1), err);
	if (r == 0)
		r = ops->event(t->state, 1.7e9, "stage", "done", fields, err);
	if (r == 0)
		r = ops->flush(t->state, err);
	rt_json_free(fields);
	return r;
}

static int tracker_once(struct trial *t, struct rt_error *err)
{
	return track(t, false, err);
}

static void tracker_verify(struct trial *t)
{
	const struct rt_tracker_ops *ops = t->plugin->ops.tracker;
	struct rt_hash               h;
	struct rt_error              err = RT_ERROR_INIT;

	rt_hash_init(&h);
	if (sum_folder(t->data, &h).bytes == 0)
		trial_say(t, TRIAL_SKIP, "what was said is on the disk",
		          "nothing is in its folder; it may go elsewhere");
	else
		trial_say(t, TRIAL_PASS, "what was said is on the disk", "%s", "");
	trial_check(t,
	            ops->scalar(t->state, 1.7e9, "stage/loss", 6, NAN, &err) == 0 &&
	                    ops->event(t->state, 1.7e9, "stage", "bare", NULL, &err) == 0 &&
	                    ops->flush(t->state, &err) == 0,
	            "a NaN, and an event without fields, are taken", "%s", err.msg);
}

const struct trial_kind trial_tracker = { tracker_prepare, tracker_once, tracker_verify };

/* ---- format ---- */

enum { HIDDEN = 8, INNER = 16, WORDS = 32, TENSORS = 14 };

struct shelving {
	struct rt_json        *config;
	struct rt_named_tensor tensors[TENSORS];
	struct rt_weights      weights;
	char                  *folder;
};

/* The smallest model of the family that retort is for. */
static const char config_text[] = "{\"architectures\":[\"Qwen2ForCausalLM\"],\"model_type\":"
				  "\"qwen2\",\"hidden_size\":8,\"intermediate_size\":16,"
				  "\"num_hidden_layers\":1,\"num_attention_heads\":2,\"num_key_"
				  "value_heads\":2,\"vocab_size\":32,"
				  "\"max_position_embeddings\":64,\"rms_norm_eps\":1e-06,\"rope_"
				  "theta\":10000.0,\"tie_word_embeddings\":true,"
				  "\"hidden_act\":\"silu\",\"torch_dtype\":\"float32\"}";

static const struct {
	const char *name;
	int64_t     rows, cols; /* cols 0: a vector */
} shapes[TENSORS] = {
	{ "model.embed_tokens.weight", WORDS, HIDDEN },
	{ "model.layers.0.input_layernorm.weight", HIDDEN, 0 },
	{ "model.layers.0.mlp.down_proj.weight", HIDDEN, INNER },
	{ "model.layers.0.mlp.gate_proj.weight", INNER, HIDDEN },
	{ "model.layers.0.mlp.up_proj.weight", INNER, HIDDEN },
	{ "model.layers.0.post_attention_layernorm.weight", HIDDEN, 0 },
	{ "model.layers.0.self_attn.k_proj.bias", HIDDEN, 0 },
	{ "model.layers.0.self_attn.k_proj.weight", HIDDEN, HIDDEN },
	{ "model.layers.0.self_attn.o_proj.weight", HIDDEN, HIDDEN },
	{ "model.layers.0.self_attn.q_proj.bias", HIDDEN, 0 },
	{ "model.layers.0.self_attn.q_proj.weight", HIDDEN, HIDDEN },
	{ "model.layers.0.self_attn.v_proj.bias", HIDDEN, 0 },
	{ "model.layers.0.self_attn.v_proj.weight", HIDDEN, HIDDEN },
	{ "model.norm.weight", HIDDEN, 0 },
};

static void format_prepare(struct trial *t)
{
	struct shelving *d = trial_output(1, sizeof *d);

	memset(d, 0, sizeof *d);
	rt_json_parse(config_text, sizeof config_text - 1, "config", 1, &d->config, NULL);
	for (int i = 0; i < TENSORS; i++) {
		const int64_t n = shapes[i].rows * (shapes[i].cols ? shapes[i].cols : 1);
		const float  *x = trial_normal(61 + (uint64_t)i, n, 1);

		d->tensors[i].name = shapes[i].name;
		d->tensors[i].tensor = shapes[i].cols ? rt_matrix(x, shapes[i].rows, shapes[i].cols)
		                                      : rt_vector(x, shapes[i].rows);
	}
	d->weights =
		(struct rt_weights){ .config = d->config, .tensors = d->tensors, .n = TENSORS };
	t->data = d;
}

static int format_once(struct trial *t, struct rt_error *err)
{
	struct shelving *d = t->data;
	int              r;

	d->folder = new_folder(t);
	r = t->plugin->ops.format->write(t->state, d->folder, &d->weights, err);
	return r == 0 ? digest_folder(t, d->folder, err) : r;
}

/* The tensor of that name, or NULL: a format may have an order of its own. */
static const struct rt_tensor *find_tensor(const struct rt_weights *w, const char *name)
{
	for (int64_t i = 0; i < w->n; i++)
		if (strcmp(w->tensors[i].name, name) == 0)
			return &w->tensors[i].tensor;
	return NULL;
}

static void compare_weights(struct trial *t, const struct shelving *d,
                            const struct rt_weights *back)
{
	int lost = 0, changed = 0;

	for (int i = 0; i < TENSORS; i++) {
		const struct rt_tensor *have = find_tensor(back, d->tensors[i].name),
				       *want = &d->tensors[i].tensor;

		lost += !have;
		changed +=
			have && (rt_numel(have) != rt_numel(want) || have->dtype != want->dtype ||
		                 memcmp(have->data, want->data, (size_t)rt_bytes(want)) != 0);
	}
	trial_check(t, lost == 0 && changed == 0, "what was written is read back the same",
	            "of %d tensors %d are missing and %d differ", TENSORS, lost, changed);
	trial_check(t, rt_json_int(rt_json_get(back->config, "hidden_size"), 0) == HIDDEN,
	            "the configuration comes back", "hidden_size does not");
}

/* Cut the largest file at many places: each must be refused, and none may crash. */
static void read_cut(struct trial *t, const struct shelving *d)
{
	struct rt_hash h;
	struct sum     s;
	char          *path;
	int64_t        accepted = 0;

	rt_hash_init(&h);
	s = sum_folder(d->folder, &h);
	path = rt_path_join(d->folder, s.largest);
	for (int64_t cut = s.most - 1; path && cut >= 0; cut -= cut > 512 ? s.most / 64 + 1 : 1) {
		struct rt_weights back = { 0 };

		if (truncate(path, cut) < 0)
			break;
		trial_now(t, "reading %s cut to %lld bytes", s.largest, (long long)cut);
		if (t->plugin->ops.format->read(t->state, d->folder, &back, NULL) == 0) {
			accepted += cut < s.most - 64; /* padding at the end may go */
			t->plugin->ops.format->release(t->state, &back);
		}
	}
	trial_check(t, accepted == 0, "a file that is cut short is refused",
	            "%lld of its cuts were read", (long long)accepted);
}

static void format_verify(struct trial *t)
{
	const struct rt_format_ops *ops = t->plugin->ops.format;
	struct shelving            *d = t->data;
	struct rt_weights           back = { 0 };
	struct rt_error             err = RT_ERROR_INIT;

	trial_check(t, ops->probe(t->state, d->folder) == 1, "it knows its own",
	            "probe says no to what it wrote");
	trial_check(t, ops->probe(t->state, new_folder(t)) == 0,
	            "it does not claim an empty folder", "probe says yes");
	trial_check(t, ops->read(t->state, new_folder(t), &back, NULL) < 0,
	            "an empty folder is refused", "it was read");
	if (!trial_check(t, ops->read(t->state, d->folder, &back, &err) == 0,
	                 "what it writes it reads", "%s", err.msg))
		return;
	compare_weights(t, d, &back);
	ops->release(t->state, &back);
	read_cut(t, d);
}

const struct trial_kind trial_format = { format_prepare, format_once, format_verify };

/* ---- stage ---- */

enum { MOST_OUTPUTS = 8 };

struct staging {
	char *out[MOST_OUTPUTS + 1];
};

static void stage_prepare(struct trial *t)
{
	t->data = memset(trial_output(1, sizeof(struct staging)), 0, sizeof(struct staging));
}

static int stage_once(struct trial *t, struct rt_error *err)
{
	struct staging            *d = t->data;
	const struct rt_stage_ops *ops = t->plugin->ops.stage;
	int                        r;

	for (int i = 0; ops->outputs[i].name; i++)
		d->out[i] = new_folder(t);
	r = ops->run(t->state, t->context, (const char *const *)d->out, err);
	for (int i = 0; r == 0 && d->out[i]; i++)
		r = digest_folder(t, d->out[i], err);
	return r;
}

static int64_t count_rows(const char *folder)
{
	char           *path = rt_path_join(folder, "rows.jsonl");
	struct rt_rows *rows = NULL;
	struct rt_json *row;
	int64_t         n = 0;
	int             r = path ? rt_rows_open(&rows, path, 0, NULL) : RT_E_NOMEM;

	while (r >= 0 && (r = rt_rows_next(rows, &row, NULL)) == 1) {
		rt_json_free(row);
		n++;
	}
	rt_rows_close(rows);
	rt_free(path);
	return r < 0 ? r : n;
}

static void stage_verify(struct trial *t)
{
	struct staging            *d = t->data;
	const struct rt_stage_ops *ops = t->plugin->ops.stage;
	struct rt_estimate         e = { NAN, NAN, NAN, NAN,
		                         NAN, NAN, NAN, { -1, -1, -1, -1, -1, -1, -1, -1 } };
	struct rt_error            err = RT_ERROR_INIT;

	for (int i = 0; ops->outputs[i].name; i++) {
		struct rt_hash h;

		rt_hash_init(&h);
		trial_check(t, sum_folder(d->out[i], &h).files > 0, "every output is filled",
		            "'%s' is empty", ops->outputs[i].name);
		if (ops->outputs[i].type == RT_DATASET)
			trial_check(t, count_rows(d->out[i]) >= 0,
			            "a dataset has rows that can be read", "'%s' has not",
			            ops->outputs[i].name);
	}
	if (RT_HAS(ops, estimate))
		trial_check(t, ops->estimate(t->config, &e, &err) == 0,
		            "it estimates what it takes", "%s", err.msg);
}

const struct trial_kind trial_stage = { stage_prepare, stage_once, stage_verify };
