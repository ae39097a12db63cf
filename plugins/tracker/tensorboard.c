/* tensorboard.c - tracker-tensorboard: event files that TensorBoard reads.
 *
 * The format (TensorFlow, record_writer.cc and event.proto): each record is a 64-bit length, the
 * masked CRC-32C of those eight bytes, the bytes, and their masked CRC-32C; masked is
 * rotate_right(crc, 15) + 0xa282ead8.  The bytes are a protocol buffer:
 *   Event   { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
 *   Summary { Value value = 1; }   Value { string tag = 1; float simple_value = 2;
 *                                          TensorProto tensor = 8; SummaryMetadata metadata = 9; }
 * Events of the run become text summaries.  Each run writes a file of its own. */
#include <retort/file.h>
#include <retort/memory.h>
#include <retort/tracker.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct state {
	char   *path;
	FILE   *out;
	int64_t events;
};

/* CRC-32C (Castagnoli), reflected polynomial, bit by bit: records are short. */
static uint32_t crc32c(const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	uint32_t             c = 0xffffffffu;

	for (size_t i = 0; i < n; i++) {
		c ^= p[i];
		for (int k = 0; k < 8; k++)
			c = (c >> 1) ^ (c & 1 ? 0x82f63b78u : 0);
	}
	return ~c;
}

static uint32_t masked(uint32_t crc)
{
	return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

static void put_little(struct rt_text *t, uint64_t x, int bytes)
{
	for (int i = 0; i < bytes; i++)
		rt_text_add_char(t, (char)((x >> (8 * i)) & 0xff));
}

static void put_varint(struct rt_text *t, uint64_t x)
{
	for (; x >= 0x80; x >>= 7)
		rt_text_add_char(t, (char)((x & 0x7f) | 0x80));
	rt_text_add_char(t, (char)x);
}

/* Wire types of protocol buffers. */
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static void put_key(struct rt_text *t, unsigned field, unsigned wire)
{
	put_varint(t, (field << 3) | wire);
}

static void put_bytes(struct rt_text *t, unsigned field, const char *bytes, size_t n)
{
	put_key(t, field, BYTES);
	put_varint(t, n);
	rt_text_add_n(t, bytes, n);
}

static void put_double(struct rt_text *t, unsigned field, double x)
{
	uint64_t bits;

	memcpy(&bits, &x, sizeof bits);
	put_key(t, field, FIXED64);
	put_little(t, bits, 8);
}

static void put_float(struct rt_text *t, unsigned field, float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof bits);
	put_key(t, field, FIXED32);
	put_little(t, bits, 4);
}

static int put_record(struct state *st, const struct rt_text *event, struct rt_error *err)
{
	struct rt_text t = RT_TEXT_INIT;
	int            r = 0;

	put_little(&t, event->len, 8);
	if (t.failed || event->failed) {
		rt_text_free(&t);
		return rt_fail_nomem(err, "a record");
	}
	put_little(&t, masked(crc32c(t.data, 8)), 4);
	rt_text_add_n(&t, event->data, event->len);
	put_little(&t, masked(crc32c(event->data, event->len)), 4);
	if (t.failed)
		r = rt_fail_nomem(err, "a record");
	else if (fwrite(t.data, 1, t.len, st->out) != t.len)
		r = rt_fail_errno(err, "cannot write %s", st->path);
	rt_text_free(&t);
	return r;
}

/* A file that no earlier or simultaneous run has: the process and a number are in its name. */
static int create(struct state *st, const char *dir, double now, struct rt_error *err)
{
	char host[64] = "host";
	int  fd = -1;

	gethostname(host, sizeof host - 1);
	for (int i = 0; fd < 0 && i < 1000; i++) {
		rt_free(st->path);
		st->path = rt_asprintf("%s/events.out.tfevents.%010lld.%s.%ld.%d", dir,
		                       (long long)now, host, (long)getpid(), i);
		if (!st->path)
			return rt_fail_nomem(err, "a path");
		fd = open(st->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	st->out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!st->out) {
		rt_fail_errno(err, "cannot create %s", st->path);
		if (fd >= 0)
			close(fd);
		return RT_E_IO;
	}
	return 0;
}

static int begin(void *state, const char *dir, const char *pipeline, bool resumed,
                 struct rt_error *err)
{
	static const char version[] = "brain.Event:2";
	struct rt_text    t = RT_TEXT_INIT;
	struct timespec   now;
	int               r;

	(void)pipeline, (void)resumed;
	clock_gettime(CLOCK_REALTIME, &now);
	r = create(state, dir, (double)now.tv_sec, err);
	if (r < 0)
		return r;
	put_double(&t, 1, (double)now.tv_sec);
	put_bytes(&t, 3, version, sizeof version - 1);
	r = put_record(state, &t, err);
	rt_text_free(&t);
	return r;
}

/* An Event around one Value. */
static int put_value(struct state *st, double time, int64_t step, const struct rt_text *value,
                     struct rt_error *err)
{
	struct rt_text summary = RT_TEXT_INIT, event = RT_TEXT_INIT;
	int            r;

	put_bytes(&summary, 1, value->data, value->len);
	put_double(&event, 1, time);
	put_key(&event, 2, VARINT);
	put_varint(&event, (uint64_t)step);
	put_bytes(&event, 5, summary.data, summary.len);
	event.failed |= summary.failed | value->failed;
	r = put_record(st, &event, err);
	rt_text_free(&summary);
	rt_text_free(&event);
	return r;
}

static int scalar(void *state, double time, const char *tag, int64_t step, double value,
                  struct rt_error *err)
{
	struct rt_text v = RT_TEXT_INIT;
	int            r;

	put_bytes(&v, 1, tag, strlen(tag));
	put_float(&v, 2, (float)value);
	r = put_value(state, time, step, &v, err);
	rt_text_free(&v);
	return r;
}

/* SummaryMetadata { PluginData plugin_data = 1 { string plugin_name = 1 } } says "text"; the text
 * is TensorProto { dtype = 1: DT_STRING (7); tensor_shape = 2: { dim = 2 { size = 1: 1 } };
 * string_val = 8 }. */
static int event(void *state, double time, const char *stage, const char *name,
                 const struct rt_json *fields, struct rt_error *err)
{
	struct state  *st = state;
	struct rt_text v = RT_TEXT_INIT, text = RT_TEXT_INIT, tensor = RT_TEXT_INIT;
	int            r;

	rt_text_printf(&text, "%s ", name);
	if (fields)
		rt_json_print(fields, RT_JSON_SPACED, &text);
	put_key(&tensor, 1, VARINT);
	put_varint(&tensor, 7);
	put_bytes(&tensor, 2, "\x12\x02\x08\x01", 4);
	put_bytes(&tensor, 8, text.data, text.len);
	put_bytes(&v, 1, stage, strlen(stage));
	put_bytes(&v, 8, tensor.data, tensor.len);
	put_bytes(&v, 9, "\x0a\x06\x0a\x04text", 8);
	v.failed |= text.failed | tensor.failed;
	r = put_value(st, time, st->events++, &v, err);
	rt_text_free(&v);
	rt_text_free(&text);
	rt_text_free(&tensor);
	return r;
}

static int flush(void *state, struct rt_error *err)
{
	struct state *st = state;

	if (fflush(st->out) != 0 || fsync(fileno(st->out)) != 0)
		return rt_fail_errno(err, "cannot write %s", st->path);
	return 0;
}

static void close_(void *state)
{
	struct state *st = state;

	if (st->out)
		fclose(st->out);
	rt_free(st->path);
}

static const struct rt_tracker_ops ops = {
	.size = sizeof ops, .begin = begin, .scalar = scalar, .event = event, .flush = flush
};

RT_PLUGIN(tracker_tensorboard, TRACKER, .name = "tensorboard", .version = "1.0",
          .license = "Apache-2.0",
          .summary = "Scalars and events as TensorBoard event files in the run's logs folder.",
          .state_size = sizeof(struct state), .close = close_, .ops.tracker = &ops);
