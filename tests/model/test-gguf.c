/* test-gguf.c - GGUF files against gguf-py and transformers, and what is written read back. */
#include "golden.h"
#include "runner.h"
#include "temp.h"

#include "model/checkpoint.h"

#include <math.h>
#include <string.h>

static const char *golden_path(const char *name)
{
	static char path[4096];
	const char *wish = getenv("RETORT_GOLDEN");

	snprintf(path, sizeof path, "%s/%s", wish && *wish ? wish : GOLDEN_DIR, name);
	return path;
}

/* ---- what gguf-py reads -------------------------------------------------------------------- */

static void same_value(const struct gguf *g, const char *key, const json_t *v)
{
	const struct gguf_entry *e = gguf_find(g, key);
	struct gguf_iter         i = { .entry = e };
	struct gguf_text         t;
	double                   x;

	ck_assert_msg(e != NULL, "no key %s", key);
	if (json_is_string(v)) {
		t = gguf_string(g, key);
		ck_assert_uint_eq(t.n, json_string_length(v));
		ck_assert_mem_eq(t.data, json_string_value(v), t.n);
	} else if (json_is_array(v)) {
		ck_assert_uint_eq(e->count, json_array_size(v));
		for (size_t k = 0; k < json_array_size(v); k++) {
			const json_t *item = json_array_get(v, k);

			if (json_is_string(item)) {
				ck_assert(gguf_next_text(&i, &t));
				ck_assert_uint_eq(t.n, json_string_length(item));
				ck_assert_mem_eq(t.data, json_string_value(item), t.n);
			} else {
				ck_assert(gguf_next_number(&i, &x));
				ck_assert_double_eq(x, json_is_boolean(item)
				                               ? json_is_true(item)
				                               : json_number_value(item));
			}
		}
		ck_assert(!gguf_next_text(&i, &t) && !gguf_next_number(&i, &x));
	} else if (json_is_boolean(v)) {
		ck_assert_int_eq(gguf_int(g, key, -1), json_is_true(v));
	} else if (json_is_integer(v)) {
		ck_assert_double_eq(gguf_real(g, key, -1.5), (double)json_integer_value(v));
	} else if (json_is_real(v)) {
		ck_assert_double_eq(gguf_real(g, key, -1.5), json_real_value(v));
	}
}

static void same_tensor(const struct gguf *g, const json_t *want)
{
	const char               *name = json_string_value(json_object_get(want, "name"));
	const struct gguf_tensor *t = gguf_find_tensor(g, name);
	const json_t             *first = json_object_get(want, "first");
	const int64_t             n = golden_int(want, "elements");
	float                    *x = malloc((size_t)n * sizeof *x);
	double                    sum = 0.0, squares = 0.0;

	ck_assert_msg(t != NULL, "no tensor %s", name);
	ck_assert_int_eq(t->tensor.dtype, golden_int(want, "ggml_type"));
	ck_assert_int_eq(rt_numel(&t->tensor), n);
	ck_assert_int_eq(rt_bytes(&t->tensor), golden_int(want, "bytes"));
	ck_assert_int_eq((const char *)t->tensor.data - (const char *)g->map.data,
	                 golden_int(want, "file_offset"));
	ck_assert_int_eq(rt_dequantize(t->tensor.dtype, t->tensor.data, n, x, NULL), 0);
	for (int64_t i = 0; i < n && t->tensor.dtype != RT_F64; i++) {
		sum += x[i];
		squares += (double)x[i] * x[i];
	}
	/* The sample is printed to 9 digits, sums run in another order. */
	for (size_t i = 0; i < json_array_size(first); i++) {
		const double w = (float)json_number_value(json_array_get(first, i));

		if (isfinite(w)) /* f64 may be out of range */
			ck_assert_double_eq_tol(x[i], w, 1e-7 * fabs(w) + 1e-30);
	}
	if (t->tensor.dtype == RT_F64) {
		free(x);
		return;
	}
	ck_assert_double_eq_tol(squares, json_number_value(json_object_get(want, "sum_of_squares")),
	                        1e-6 * squares);
	ck_assert_double_eq_tol(sum, json_number_value(json_object_get(want, "sum")),
	                        1e-6 * sqrt(squares * (double)n) + 1e-9);
	free(x);
}

static void same_file(const char *name)
{
	char            json_name[64], file_name[64];
	json_t         *j, *item;
	struct gguf     g;
	struct rt_error err = RT_ERROR_INIT;
	size_t          i;

	snprintf(json_name, sizeof json_name, "gguf/%s.json", name);
	snprintf(file_name, sizeof file_name, "gguf/%s.gguf", name);
	j = golden_json(json_name);
	if (!j)
		return;
	ck_assert_msg(gguf_open(&g, golden_path(file_name), &err) == 0, "%s", err.msg);
	ck_assert_uint_eq(g.version, (uint64_t)golden_int(j, "gguf_version"));
	ck_assert_int_eq(g.n_tensors, golden_int(j, "tensor_count"));
	ck_assert_int_eq(g.n_entries, golden_int(j, "kv_count"));
	ck_assert_uint_eq(g.alignment, (uint64_t)golden_int(j, "alignment"));
	json_array_foreach(json_object_get(j, "kv"), i, item)
		same_value(&g, json_string_value(json_object_get(item, "key")),
	                   json_object_get(item, "value"));
	json_array_foreach(json_object_get(j, "tensors"), i, item) same_tensor(&g, item);
	gguf_close(&g);
	json_decref(j);
}

START_TEST(metadata_and_tensors_are_those_that_gguf_py_reads)
	{
		same_file("tiny-qwen2");
		same_file("align64");
	}
END_TEST

/* ---- what transformers computes from it ---------------------------------------------------- */

/* Logits [n, vocabulary] of n ids from scratch. */
static void logits_of(const struct model *m, const int32_t *id, int64_t n, float *logits)
{
	const struct rt_span   span = { 0, n, 0, n, 0 };
	const struct model_run run = { 0 };
	int32_t                position[64];
	float                 *hidden = malloc((size_t)(n * m->config.hidden) * sizeof *hidden);
	struct rt_batch        b = { id, position, n, &span, 1 };

	for (int i = 0; i < 64; i++)
		position[i] = i;
	ck_assert_int_eq(model_forward(m, &b, &run, hidden, NULL), 0);
	ck_assert_int_eq(model_logits(m, hidden, n, &(struct model_run){ 0 }, logits, NULL), 0);
	free(hidden);
}

static int64_t ids_of(const json_t *list, int32_t *ret)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		ret[i] = (int32_t)json_integer_value(json_array_get(list, i));
	return (int64_t)json_array_size(list);
}

START_TEST(a_mixed_file_computes_what_transformers_computes)
	{
		json_t       *j = golden_json("gguf/tiny-qwen2.json");
		const json_t *f = json_object_get(j, "forward"),
			     *want = json_object_get(f, "last_logits");
		struct model    m;
		struct rt_error err = RT_ERROR_INIT;
		int32_t         id[64], next[64];
		int64_t         n, n_next, vocabulary;
		float          *logits;

		if (!j)
			return;
		ck_assert_msg(model_open(&m, golden_path("gguf/tiny-qwen2.gguf"), &err) == 0, "%s",
		              err.msg);
		vocabulary = m.config.vocabulary;
		n = ids_of(json_object_get(f, "prompt_ids"), id);
		n_next = ids_of(json_object_get(f, "greedy_ids"), next);
		logits = malloc((size_t)(64 * vocabulary) * sizeof *logits);
		logits_of(&m, id, n, logits);
		for (int64_t v = 0; v < vocabulary; v++)
			ck_assert_double_eq_tol(logits[(n - 1) * vocabulary + v],
			                        json_number_value(json_array_get(want, (size_t)v)),
			                        1e-4);
		for (int64_t i = 0; i < n_next; i++) {
			const float *x = logits + (n - 1) * vocabulary;
			int64_t      best = 0;

			for (int64_t v = 1; v < vocabulary; v++)
				best = x[v] > x[best] ? v : best;
			ck_assert_int_eq(best, next[i]);
			id[n++] = next[i];
			logits_of(&m, id, n, logits);
		}
		free(logits);
		model_close(&m);
		json_decref(j);
	}
END_TEST

/* ---- round trips --------------------------------------------------------------------------- */

static const char *const folders[] = { "llama-tiny", "qwen2-tiny", "qwen3-tiny",
	                               "qwen2-bf16-sharded" };

enum { N = 40 };

static float *logits_at(const char *path)
{
	struct model    m;
	struct rt_error err = RT_ERROR_INIT;
	int32_t         id[N];
	float          *logits;

	ck_assert_msg(model_open(&m, path, &err) == 0, "%s", err.msg);
	for (int i = 0; i < N; i++)
		id[i] = i * 7 % (int32_t)m.config.vocabulary;
	logits = malloc((size_t)(N * m.config.vocabulary) * sizeof *logits);
	logits_of(&m, id, N, logits);
	model_close(&m);
	return logits;
}

static void write_folder(const struct model *m, const char *path)
{
	struct rt_error err = RT_ERROR_INIT;

	ck_assert_int_eq(rt_mkdir_all(path, NULL), 0);
	ck_assert_msg(checkpoint_write_folder(m, path, RT_F32, 0, &err) == 0, "%s", err.msg);
}

/* To GGUF and back, or to a folder: f32 is a copy, so logits differ by nothing but the divisors
 * of rotary frequencies, which GGUF keeps in float (llama3 scaling; recognized on the way back). */
START_TEST(a_model_written_in_f32_computes_the_same)
	{
		struct model m, from_gguf;
		float       *want, *gguf, *folder, *back;

		if (model_open(&m, golden_path(folders[_i]), NULL) != 0)
			return;
		ck_assert_int_eq(checkpoint_write_gguf(&m, temp_path("m.gguf"), RT_F32, NULL, NULL),
		                 0);
		write_folder(&m, temp_path("m"));
		ck_assert_int_eq(model_open(&from_gguf, temp_path("m.gguf"), NULL), 0);
		write_folder(&from_gguf, temp_path("back"));
		model_close(&from_gguf);
		want = logits_at(golden_path(folders[_i]));
		gguf = logits_at(temp_path("m.gguf"));
		folder = logits_at(temp_path("m"));
		back = logits_at(temp_path("back"));
		for (int64_t i = 0; i < N * m.config.vocabulary; i++) {
			ck_assert_float_eq_tol(gguf[i], want[i], 1e-5f);
			/* Both are exact in f32; bf16 weights take the same product in another
			 * type. */
			ck_assert_float_eq_tol(folder[i], want[i], 1e-5f);
			ck_assert_float_eq_tol(back[i], want[i], 1e-5f);
		}
		free(want);
		free(back);
		free(gguf);
		free(folder);
		model_close(&m);
	}
END_TEST

START_TEST(quantized_files_are_smaller_and_still_run)
	{
		static const enum rt_dtype types[] = { RT_BF16, RT_Q8_0, RT_Q4_K, RT_IQ4_NL };
		struct model               m;

		if (model_open(&m, golden_path("gguf/tiny-qwen2.gguf"), NULL) != 0)
			return;
		for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
			const struct gguf *source = &m.checkpoint->gguf;
			struct gguf_writer extra;
			struct gguf        g;
			float             *logits;

			gguf_writer_init(&extra);
			gguf_put_entry(&extra, gguf_find(source, "tokenizer.ggml.tokens"));
			ck_assert_int_eq(checkpoint_write_gguf(&m, temp_path("q.gguf"), types[i],
			                                       &extra, NULL),
			                 0);
			gguf_writer_fini(&extra);
			logits = logits_at(temp_path("q.gguf"));
			for (int64_t k = 0; k < N * m.config.vocabulary; k++)
				ck_assert(isfinite(logits[k]));
			free(logits);
			ck_assert_int_eq(gguf_open(&g, temp_path("q.gguf"), NULL), 0);
			ck_assert_int_eq(gguf_find_tensor(&g, "blk.1.ffn_up.weight")->tensor.dtype,
			                 types[i]);
			ck_assert_int_eq(gguf_find_tensor(&g, "output_norm.weight")->tensor.dtype,
			                 RT_F32);
			ck_assert_uint_eq(gguf_find(&g, "tokenizer.ggml.tokens")->count, 300);
			gguf_close(&g);
		}
		model_close(&m);
	}
END_TEST

/* ---- files that lie ------------------------------------------------------------------------ */

/* Every truncation of a file, and every byte of its header set to 0, 0x7f and 0xff: an error or
 * a file that is still whole, never a crash. */
START_TEST(truncated_and_damaged_files_are_refused_or_harmless)
	{
		size_t                     size;
		char                      *bytes = golden_read("gguf/align64.gguf", &size);
		static const unsigned char values[] = { 0, 0x7f, 0xff };
		struct gguf                g;

		if (!bytes)
			return;
		for (size_t n = 0; n < size - 64; n++) { /* the last tensor is padded */
			struct rt_error err = RT_ERROR_INIT;

			ck_assert_int_lt(gguf_open(&g, temp_write("cut.gguf", bytes, n), &err), 0);
			ck_assert_uint_gt(strlen(err.msg), 10);
		}
		for (size_t at = 0; at < 576; at++)
			for (size_t v = 0; v < sizeof values; v++) {
				const char keep = bytes[at];

				bytes[at] = (char)values[v];
				if (gguf_open(&g, temp_write("bad.gguf", bytes, size), NULL) == 0) {
					for (int64_t i = 0; i < g.n_tensors; i++) {
						const struct rt_tensor *t = &g.tensors[i].tensor;
						const char             *end =
							(const char *)t->data + rt_bytes(t);

						ck_assert(end <=
						          (const char *)g.map.data + g.map.size);
					}
					gguf_close(&g);
				}
				bytes[at] = keep;
			}
		free(bytes);
	}
END_TEST

START_TEST(headers_that_lie_are_named)
	{
		static const struct {
			const char *bytes;
			size_t      n;
			const char *message;
		} cases[] = {
#define LIE(text, message) { text, sizeof text - 1, message }
			LIE("GGUX\3\0\0\0",
			    "x.gguf: no GGUF file and no folder with a config.json"),
			LIE("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n",
			    "x.gguf is a pointer of Git LFS, not the file itself: get that by "
			    "`git lfs pull`"),
			LIE("GGUF\1\0\0\0", "x.gguf: GGUF version 1; 2 and 3 are supported"),
			LIE("GGUF\3\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
			    "x.gguf: 18446744073709551615 keys and 0 tensors in 24 bytes"),
			LIE("GGUF\3\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff"
			    "\xff\x7fkey..",
			    "x.gguf: a key of 9223372036854775807 bytes at 32 leaves the file of "
			    "37; it is cut short or damaged: get it again"),
		};
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			struct rt_error err = RT_ERROR_INIT;
			struct gguf     g;

			ck_assert_int_lt(gguf_open(&g,
			                           temp_write("x.gguf", cases[i].bytes, cases[i].n),
			                           &err),
			                 0);
			ck_assert_str_eq(temp_strip(err.msg), cases[i].message);
		}
	}
END_TEST

RUNNER("gguf", 300, {
	tcase_add_checked_fixture(tc, temp_begin, temp_end);
	tcase_add_test(tc, metadata_and_tensors_are_those_that_gguf_py_reads);
	tcase_add_test(tc, a_mixed_file_computes_what_transformers_computes);
	TABLE_TEST(tc, a_model_written_in_f32_computes_the_same, folders);
	tcase_add_test(tc, quantized_files_are_smaller_and_still_run);
	tcase_add_test(tc, truncated_and_damaged_files_are_refused_or_harmless);
	tcase_add_test(tc, headers_that_lie_are_named);
})
