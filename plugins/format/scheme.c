/* scheme.c - see scheme.h */
#include "scheme.h"

#include <stdio.h>
#include <string.h>

static bool is_text(const struct rt_json *j, const char *want)
{
	return rt_json_string(j) && strcmp(rt_json_string(j), want) == 0;
}

static bool is_null(const struct rt_json *j)
{
	return rt_json_type(j) == RT_JSON_NULL;
}

bool scheme_is(const struct rt_json *config)
{
	const struct rt_json *q = rt_json_get(config, "quantization_config");

	return is_text(rt_json_get(q, "quant_method"), "compressed-tensors");
}

/* ---- reading --------------------------------------------------------------------------------- */

static int unsupported(struct rt_error *err, const char *key, const struct rt_json *value)
{
	struct rt_text text = RT_TEXT_INIT;
	int            r;

	rt_json_print(value, 0, &text);
	r = text.failed
	            ? rt_fail_nomem(err, "a configuration")
	            : rt_fail(err, RT_E_UNSUP, "quantization_config: %s = %.200s is not supported",
	                      key, text.data);
	rt_text_free(&text);
	return r;
}

/* Keys of an object that must be absent, null, or one text. */
struct must {
	const char *key, *text;
};

static int check_keys(const struct rt_json *o, const struct must *m, struct rt_error *err)
{
	for (; m->key; m++) {
		const struct rt_json *value = rt_json_get(o, m->key);

		if (!is_null(value) && !(m->text && is_text(value, m->text)))
			return unsupported(err, m->key, value);
	}
	return 0;
}

/* 0 where all columns of a row share a scale, as group_size -1 and strategy "channel" say. */
static int group_of(const struct rt_json *weights, int64_t *ret, struct rt_error *err)
{
	const struct rt_json *strategy = rt_json_get(weights, "strategy");
	const int64_t         size = rt_json_int(rt_json_get(weights, "group_size"), 0);

	if (size > 0 && (is_null(strategy) || is_text(strategy, "group"))) {
		*ret = size;
		return 0;
	}
	*ret = 0;
	return size <= 0 && (is_text(strategy, "channel") || (is_null(strategy) && size == -1))
	               ? 0
	               : unsupported(err, "strategy", strategy);
}

static int read_group(struct scheme *s, const struct rt_json *group, struct rt_error *err)
{
	static const struct must outside[] = { { "input_activations", NULL },
		                               { "output_activations", NULL },
		                               { "format", "pack-quantized" },
		                               { NULL, NULL } };
	static const struct must inside[] = { { "type", "int" },
		                              { "block_structure", NULL },
		                              { NULL, NULL } };
	const struct rt_json    *w = rt_json_get(group, "weights");
	const int64_t            bits = rt_json_int(rt_json_get(w, "num_bits"), 8);
	int                      r = check_keys(group, outside, err);

	if (r == 0)
		r = check_keys(w, inside, err);
	if (r == 0 && rt_json_bool(rt_json_get(w, "dynamic"), false))
		r = unsupported(err, "dynamic", rt_json_get(w, "dynamic"));
	if (r == 0 && (bits < 1 || bits > 8 || !rt_json_is(w, RT_JSON_OBJECT)))
		r = unsupported(err, "num_bits", rt_json_get(w, "num_bits"));
	if (r == 0 && s->n == SCHEMES)
		r = rt_fail(err, RT_E_UNSUP, "more than %d config_groups", SCHEMES);
	if (r == 0)
		r = group_of(w, &s->at[s->n].group, err);
	if (r < 0)
		return r;
	s->at[s->n].bits = bits;
	s->at[s->n++].symmetric = rt_json_bool(rt_json_get(w, "symmetric"), true);
	return 0;
}

int scheme_read(struct scheme *ret, const struct rt_json *quantization, struct rt_error *err)
{
	static const struct must keys[] = { { "format", "pack-quantized" },
		                            { "quantization_status", "compressed" },
		                            { "kv_cache_scheme", NULL },
		                            { NULL, NULL } };
	const struct rt_json    *groups = rt_json_get(quantization, "config_groups");
	const struct rt_json    *sparse = rt_json_get(quantization, "sparsity_config");
	const struct rt_json    *turned = rt_json_get(quantization, "transform_config");
	int                      r = check_keys(quantization, keys, err);

	*ret = (struct scheme){ 0 };
	if (r == 0 && is_null(rt_json_get(quantization, "format")))
		r = rt_fail(err, RT_E_FORMAT, "quantization_config has no format");
	if (r == 0 && rt_json_length(sparse) && !is_text(rt_json_get(sparse, "format"), "dense"))
		r = unsupported(err, "sparsity_config", sparse);
	if (r == 0 && rt_json_length(turned))
		r = unsupported(err, "transform_config", turned);
	if (r == 0 && !rt_json_is(groups, RT_JSON_OBJECT))
		r = rt_fail(err, RT_E_FORMAT, "quantization_config has no config_groups");
	for (struct rt_json_iter i = rt_json_first(groups); r == 0 && i.key; rt_json_next(&i)) {
		r = read_group(ret, i.value, err);
		if (r < 0)
			r = rt_within(err, r, "%s", i.key);
	}
	return r;
}

int64_t scheme_bits(const struct scheme *s, int64_t cols, int64_t words, int64_t group,
                    bool symmetric, struct rt_error *err)
{
	int64_t bits = 0;

	for (int64_t i = 0; i < s->n; i++) {
		const int64_t want = s->at[i].group ? s->at[i].group : cols;

		if (want != group || s->at[i].symmetric != symmetric ||
		    (cols * s->at[i].bits + 31) / 32 != words || s->at[i].bits == bits)
			continue;
		if (bits)
			return rt_fail(err, RT_E_FORMAT,
			               "%lld columns in %lld words are %lld bits or %lld, and "
			               "quantization_config has both",
			               (long long)cols, (long long)words, (long long)bits,
			               (long long)s->at[i].bits);
		bits = s->at[i].bits;
	}
	return bits ? bits
	            : rt_fail(err, RT_E_FORMAT,
	                      "no config group of quantization_config packs %lld columns in %lld "
	                      "words, %s, with a scale for %lld of them",
	                      (long long)cols, (long long)words,
	                      symmetric ? "symmetric" : "with zero points", (long long)group);
}

/* ---- writing --------------------------------------------------------------------------------- */

static struct rt_json *new_weights(const struct scheme_group *g)
{
	struct rt_json *w = rt_json_new_object();
	int             r = rt_json_set(w, "num_bits", rt_json_new_int(g->bits));

	r |= rt_json_set(w, "type", rt_json_new_string("int"));
	r |= rt_json_set(w, "symmetric", rt_json_new_bool(true));
	r |= rt_json_set(w, "strategy", rt_json_new_string("group"));
	r |= rt_json_set(w, "group_size", rt_json_new_int(g->group));
	r |= rt_json_set(w, "dynamic", rt_json_new_bool(false));
	r |= rt_json_set(w, "actorder", rt_json_new_null());
	r |= rt_json_set(w, "block_structure", rt_json_new_null());
	r |= rt_json_set(w, "observer", rt_json_new_string("minmax"));
	r |= rt_json_set(w, "observer_kwargs", rt_json_new_object());
	if (r == 0)
		return w;
	rt_json_free(w);
	return NULL;
}

static struct rt_json *new_group(const struct scheme_group *g)
{
	struct rt_json *o = rt_json_new_object(), *linear = rt_json_new_array();
	int             r = rt_json_append(linear, rt_json_new_string("Linear"));

	r |= rt_json_set(o, "targets", rt_json_ref(g->targets ? g->targets : linear));
	r |= rt_json_set(o, "weights", new_weights(g));
	r |= rt_json_set(o, "input_activations", rt_json_new_null());
	r |= rt_json_set(o, "output_activations", rt_json_new_null());
	rt_json_free(linear);
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

struct rt_json *scheme_write(const struct scheme_group *groups, int n, const struct rt_json *ignore)
{
	struct rt_json *q = rt_json_new_object(), *all = rt_json_new_object();
	int r = rt_json_set(q, "quant_method", rt_json_new_string("compressed-tensors"));

	for (int i = 0; i < n; i++) {
		char name[32];

		snprintf(name, sizeof name, "group_%d", i);
		r |= rt_json_set(all, name, new_group(&groups[i]));
	}
	r |= rt_json_set(q, "format", rt_json_new_string("pack-quantized"));
	r |= rt_json_set(q, "quantization_status", rt_json_new_string("compressed"));
	r |= rt_json_set(q, "config_groups", rt_json_ref(all));
	r |= rt_json_set(q, "ignore", rt_json_ref(ignore));
	r |= rt_json_set(q, "kv_cache_scheme", rt_json_new_null());
	r |= rt_json_set(q, "global_compression_ratio", rt_json_new_null());
	rt_json_free(all);
	if (r == 0)
		return q;
	rt_json_free(q);
	return NULL;
}
