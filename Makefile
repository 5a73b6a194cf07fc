# msae: filters/NAME.c -> bin/NAME, lib/ROOM/*.c -> build/libsae.a
#
#   make           build            make demo     a whole run on planted data
#   make check     all tests        make bench    speed, as ratios in one run
#   make bench-check   instructions of each kernel beside those committed; RENEW=1
#   make fuzz      each parser, FUZZ_SECONDS= long
#   make install   PREFIX= DESTDIR= make deps     install what is missing
#
# Knobs: CC=clang  SANITIZE=address,undefined  WERROR=1  V=1
MAKEFLAGS += --no-builtin-rules
PREFIX  ?= /usr/local
LIBEXEC  = $(PREFIX)/libexec/msae
MANDIR   = $(PREFIX)/share/man/man1
COMPDIR  = $(PREFIX)/share/bash-completion/completions
VERSION  = 0.1.0

comma   := ,
VARIANT := $(subst $(comma),-,$(SANITIZE))$(if $(filter clang%,$(CC)),clang)
B       := build$(if $(VARIANT),/$(VARIANT))
BIN     := $(if $(VARIANT),$(B)/bin,bin)
Q       := $(if $(V),,@)

# Asked for late, inside recipes, so that `make deps` runs without pkg-config.
PKGS     = libzmq $$(pkg-config --exists msgpack-c && echo msgpack-c || echo msgpack) openblas jansson libxxhash nettle libzip zlib libzstd
PKG_CF   = $$(pkg-config --cflags $(PKGS) | sed 's/-I/-isystem /g')
PKG_LD   = $$(pkg-config --libs $(PKGS)) -lpthread -lm
CFLAGS  ?= -O3 -g
# -ffp-contract=off: the same bytes from every compiler and instruction set
ALL_CF   = -std=c11 -D_POSIX_C_SOURCE=200809L -D_FILE_OFFSET_BITS=64 -Ilib -DMSAE_VERSION='"$(VERSION)"' \
           -Wall -Wextra -Wpedantic $(if $(WERROR),-Werror) -ffp-contract=off -fno-math-errno -pthread \
           $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all) $(CFLAGS)
ALL_LD   = $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(if $(filter Linux,$(shell uname -s)),-Wl$(comma)--as-needed) $(LDFLAGS)
DEPFLAGS = -MMD -MP

FILTERS := $(patsubst filters/%.c,%,$(wildcard filters/*.c))
# these of lib/ are compiled once for each instruction set that lib/base/cpu.h knows
SIMD    := plain $(if $(filter x86_64 amd64,$(shell uname -m)),avx2 avx512 avx512vnni)
MANY    := sae/simd sae/products stream/sum
SIMD_plain  =
SIMD_avx2   = -mavx2 -mfma -mf16c
SIMD_avx512 = -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mprefer-vector-width=512
SIMD_avx512vnni = $(SIMD_avx512) -mavx512vnni
MANY_OBJ := $(foreach f,$(MANY),$(SIMD:%=$(B)/$(f).%.o))
OBJ     := $(patsubst lib/%.c,$(B)/%.o,$(filter-out $(MANY:%=lib/%.c),$(wildcard lib/*/*.c))) $(MANY_OBJ)
UNITS   := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*.c))
BENCHES := $(patsubst bench/%.c,$(B)/bench/%,$(wildcard bench/*.c))

all: $(FILTERS:%=$(BIN)/%)

$(BIN)/%: filters/%.c $(B)/libsae.a
	@mkdir -p $(@D) $(B)/filters
	$(Q)$(CC) $(ALL_CF) $(DEPFLAGS) -MT $@ -MF $(B)/filters/$*.d $< -o $@ $(ALL_LD) $(B)/libsae.a $(PKG_LD)

$(B)/unit/%: tests/unit/%.c $(B)/libsae.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CF) $(DEPFLAGS) -MT $@ -MF $@.d -Itests/unit $< -o $@ $(ALL_LD) $(B)/libsae.a $(PKG_CF) $(PKG_LD)

$(B)/bench/%: bench/%.c $(B)/libsae.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CF) $(DEPFLAGS) -MT $@ -MF $@.d $< -o $@ $(ALL_LD) $(B)/libsae.a $(PKG_LD)

$(B)/libsae.a: $(OBJ)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(B)/%.o: lib/%.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CF) $(DEPFLAGS) $(PKG_CF) -c $< -o $@

define COMPILE_MANY
$(SIMD:%=$(B)/$(1).%.o): $(B)/$(1).%.o: lib/$(1).c Makefile
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALL_CF) $$(DEPFLAGS) $$(SIMD_$$*) $$(PKG_CF) -DSIMD=$$* -c $$< -o $$@
endef
$(foreach f,$(MANY),$(eval $(call COMPILE_MANY,$(f))))

-include $(OBJ:.o=.d) $(FILTERS:%=$(B)/filters/%.d) $(UNITS:%=%.d) $(BENCHES:%=%.d)

unit: $(UNITS)

benches: $(BENCHES)

deps:
	$(Q).ci/deps

demo: deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)PATH="$(CURDIR)/$(BIN):$$PATH" pipelines/demo

check: deps
	$(Q)$(MAKE) --no-print-directory all unit
	$(Q)BIN="$(CURDIR)/$(BIN)" BUILD="$(CURDIR)/$(B)" tests/run

bench: deps
	$(Q)$(MAKE) --no-print-directory all benches
	$(Q)PATH="$(CURDIR)/$(BIN):$$PATH" BUILD="$(CURDIR)/$(B)" bench/run

bench-check: deps
	$(Q)$(MAKE) -s --no-print-directory $(B)/bench/counts
	$(Q)CC="$(CC)" CFLAGS="$(CFLAGS)" BUILD="$(CURDIR)/$(B)" bench/check

# Manual pages are printed by the programs themselves, from their option tables.
man: all
	@mkdir -p $(B)/man
	$(Q)for p in $(filter-out msae,$(FILTERS)); do $(BIN)/$$p --man > $(B)/man/$$p.1 || exit 1; done
	$(Q)cp docs/msae.1 $(B)/man/msae.1

install: man
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(LIBEXEC)" "$(DESTDIR)$(MANDIR)" "$(DESTDIR)$(COMPDIR)"
	install -m 755 $(BIN)/msae "$(DESTDIR)$(PREFIX)/bin/msae"
	install -m 755 $(patsubst %,$(BIN)/%,$(filter-out msae,$(FILTERS))) "$(DESTDIR)$(LIBEXEC)/"
	install -m 644 $(B)/man/*.1 "$(DESTDIR)$(MANDIR)/"
	install -m 644 docs/msae.bash "$(DESTDIR)$(COMPDIR)/msae"

uninstall:
	rm -f "$(DESTDIR)$(PREFIX)/bin/msae" "$(DESTDIR)$(COMPDIR)/msae" $(patsubst %,"$(DESTDIR)$(MANDIR)/%.1",$(FILTERS))
	rm -rf "$(DESTDIR)$(LIBEXEC)"

# Each parser, FUZZ_SECONDS long, with clang's fuzzer and sanitizers.
FUZZ_SECONDS ?= 60
FUZZ_B       := build/fuzzer-no-link-address-undefinedclang
fuzz: deps
	$(Q)$(MAKE) --no-print-directory CC=clang SANITIZE=fuzzer-no-link,address,undefined CFLAGS='-O1 -g' $(FUZZ_B)/libsae.a
	$(Q)for f in tests/fuzz/fuzz_*.c; do n=$$(basename $$f .c); echo "== $$n"; mkdir -p build/fuzz/$$n && \
	  clang $(ALL_CF) -O1 -fsanitize=fuzzer,address,undefined $$f -o build/fuzz/$$n.bin $(FUZZ_B)/libsae.a $(PKG_LD) && \
	  build/fuzz/$$n.bin -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -verbosity=0 -artifact_prefix=build/fuzz/$$n- build/fuzz/$$n || exit 1; done

clean:
	rm -rf build bin demo

.PHONY: all unit benches deps demo check bench bench-check fuzz man install uninstall clean
.DELETE_ON_ERROR:
