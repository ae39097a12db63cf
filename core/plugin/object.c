/* object.c - see object.h */
#include "plugin/object.h"

#include <retort/file.h>

#include <elf.h>
#include <errno.h>
#include <link.h> /* ElfW */
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Does [at, at + bytes) lie inside n? */
static bool inside(uint64_t at, uint64_t bytes, size_t n)
{
	return at <= n && bytes <= n - at;
}

static int cut_short(size_t n, struct rt_error *err)
{
	return rt_fail(err, RT_E_ABI,
	               "is cut short, %zu bytes are not all of it: copy or build it again", n);
}

static int check_ident(const unsigned char *id, size_t n, struct rt_error *err)
{
	const unsigned char class = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
	const uint16_t      probe = 1;
	const unsigned char order = *(const unsigned char *)&probe ? ELFDATA2LSB : ELFDATA2MSB;

	if (n == 0)
		return rt_fail(err, RT_E_ABI, "is empty: copy or build it again");
	if (n < SELFMAG || memcmp(id, ELFMAG, SELFMAG) != 0)
		return rt_fail(err, RT_E_ABI, "is not a shared object");
	if (n < sizeof(ElfW(Ehdr)))
		return cut_short(n, err);
	if (id[EI_CLASS] != class || id[EI_DATA] != order)
		return rt_fail(
			err, RT_E_ABI,
			"is for a machine of another word size or byte order: build it here");
	return 0;
}

/* The machine code this program itself consists of. */
static uint16_t own_machine(void)
{
#if defined(__x86_64__)
	return EM_X86_64;
#elif defined(__aarch64__)
	return EM_AARCH64;
#elif defined(__riscv)
	return EM_RISCV;
#elif defined(__powerpc64__)
	return EM_PPC64;
#elif defined(__s390__)
	return EM_S390;
#elif defined(__i386__)
	return EM_386;
#elif defined(__arm__)
	return EM_ARM;
#else
	return EM_NONE;
#endif
}

static int check_segments(const unsigned char *bytes, size_t n, const ElfW(Ehdr) * h,
                          struct rt_error *err)
{
	ElfW(Phdr) p;
	bool dynamic = false;

	if (h->e_phentsize != sizeof p)
		return rt_fail(err, RT_E_ABI, "has a header that makes no sense: build it again");
	if (!inside(h->e_phoff, (uint64_t)h->e_phnum * sizeof p, n))
		return cut_short(n, err);
	for (unsigned i = 0; i < h->e_phnum; i++) {
		memcpy(&p, bytes + h->e_phoff + i * sizeof p, sizeof p);
		if (!inside(p.p_offset, p.p_filesz, n))
			return cut_short(n, err);
		dynamic = dynamic || p.p_type == PT_DYNAMIC;
	}
	return dynamic ? 0 : rt_fail(err, RT_E_ABI, "is no shared object: link it with -shared");
}

int object_check_bytes(const void *bytes, size_t n, struct rt_error *err)
{
	ElfW(Ehdr) h;
	int r = check_ident(bytes, n, err);

	if (r < 0)
		return r;
	memcpy(&h, bytes, sizeof h);
	if (own_machine() != EM_NONE && h.e_machine != own_machine())
		return rt_fail(err, RT_E_ABI,
		               "is for another machine (ELF machine %u, this is %u): build it here",
		               h.e_machine, own_machine());
	if (h.e_type != ET_DYN)
		return rt_fail(err, RT_E_ABI,
		               "is no shared object (ELF type %u): link it with -shared", h.e_type);
	if (h.e_shoff && !inside(h.e_shoff, (uint64_t)h.e_shnum * h.e_shentsize, n))
		return cut_short(n, err);
	return check_segments(bytes, n, &h, err);
}

int object_check(const char *path, struct rt_error *err)
{
	struct rt_map m;
	struct stat   st;
	int           r;

	if (stat(path, &st) < 0)
		return rt_fail_errno(err, "cannot be looked at");
	if (!S_ISREG(st.st_mode))
		return rt_fail(err, RT_E_ABI, "is not a regular file");
	if (st.st_mode & S_IWOTH)
		return rt_fail(err, RT_E_ABI, "can be changed by anyone: chmod o-w %s", path);
	if (access(path, R_OK) < 0)
		return rt_fail_errno(err, "cannot be read");
	r = rt_file_map(&m, path, err);
	if (r < 0)
		return r;
	r = object_check_bytes(m.data, m.size, err);
	rt_file_unmap(&m);
	return r;
}
