# make install: what goes where, that it runs from there, and that it goes again.

load helper

setup_file() {
	# a make that runs us hands on its variables (SANITIZE=, CC=), but not its jobs
	export DEST="$BATS_FILE_TMPDIR/dest dir" MAKEFLAGS=$(sed -E 's/(^| )-j[0-9]*//g; s/--jobserver-[a-z]+=[^ ]*//g' <<<"${MAKEFLAGS:-}")
	mkdir "$DEST"
	make -C "$ROOT" --no-print-directory install DESTDIR="$DEST" PREFIX=/usr >"$BATS_FILE_TMPDIR/said" 2>&1 || {
		cat "$BATS_FILE_TMPDIR/said"
		return 1
	}
}

# What was installed is on the PATH, what was built is not.
setup() {
	PATH="$DEST/usr/bin:$(tr ':' '\n' <<<"$PATH" | grep -vxF -e "${BIN:-$ROOT/bin}" -e "$ROOT/bin" | paste -sd:)"
}

programs() { msae --list; }

@test "one program is on the PATH, the others are in libexec" {
	[[ $(ls "$DEST/usr/bin") == msae ]] || problem "in bin: $(ls "$DEST/usr/bin")"
	programs | sort >"$BATS_TEST_TMPDIR/listed"
	ls "$DEST/usr/libexec/msae" | sort >"$BATS_TEST_TMPDIR/there"
	same "$BATS_TEST_TMPDIR/listed" "$BATS_TEST_TMPDIR/there"
	! type topk 2>/dev/null || problem "the tests would not notice: topk is on the PATH"
}

@test "the driver finds its programs" {
	[[ $(command -v msae) == "$DEST/usr/bin/msae" ]] || problem "msae is $(command -v msae)"
	for case in $(programs); do
		ok msae "$case" --version
		grep -q "^$case (msae) " "$OUT" || problem "says $(cat "$OUT")"
		ok msae help "$case"
	done
	case=
	ln -s "$DEST/usr/bin/msae" "$BATS_TEST_TMPDIR/msae"
	ok "$BATS_TEST_TMPDIR/msae" topk --version
	cd "$DEST/usr/bin"
	ok ./msae topk --version
}

@test "a pipeline of installed programs runs, and exit codes come through" {
	cd "$BATS_TEST_TMPDIR"
	msae plant-embeddings --rows 50 --dim 8 --concepts 12 --active 3 --truth m.msae --names n.json >raw.sae
	msae normalize -m m.msae -i raw.sae | msae sae-encode -m m.msae | msae topk -k 3 | msae concept-score -c n.json | msae report >report
	grep -q 'topk -k 3' report || problem "$(cat report)"
	refused 65 "$DEST/usr/libexec/msae/topk" -k 1 </dev/null
	try msae topk -k 1 </dev/null
	status_is 65
	grep -q '^topk: ' "$ERR" || problem "says $(cat "$ERR")"
	try msae topk --nonsense
	status_is 64
}

@test "manual pages for all, and they say what they are" {
	for case in msae $(programs); do
		f="$DEST/usr/share/man/man1/$case.1"
		[[ -s $f && $(head -n 1 "$f") == .TH\ * ]] || problem "$f is no manual page"
		[[ $(stat -c %a "$f") == 644 ]] || problem "mode $(stat -c %a "$f")"
		if command -v man >/dev/null; then
			man -E ascii -l "$f" 2>/dev/null | grep -qi "^ *$case " || problem "man does not show it"
		fi
	done
}

@test "the completion can be sourced, and completes" {
	cat >"$BATS_TEST_TMPDIR/try" <<-'E'
		set -eu
		source "$1"
		complete -p msae >/dev/null
		words() {
			COMP_WORDS=("$@")
			COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
			COMPREPLY=()
			_msae
			printf '%s\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"} | sort | paste -sd' '
		}
		words msae sae-
		words msae help to
		words msae topk --b
		words msae topk --max
		words msae normalize --nothing
	E
	ok bash "$BATS_TEST_TMPDIR/try" "$DEST/usr/share/bash-completion/completions/msae"
	silent
	printf '%s\n' 'sae-align sae-convert sae-decode sae-encode sae-eval sae-train' 'topk' '--batch' '--max-frame' '' >"$BATS_TEST_TMPDIR/want"
	same "$OUT" "$BATS_TEST_TMPDIR/want" || cat "$OUT"
}

@test "installed files are for everyone, and nothing else is written" {
	[[ -z $(find "$DEST" -type f ! -perm -444) ]] || problem "not readable: $(find "$DEST" -type f ! -perm -444)"
	[[ -z $(find "$DEST" -type d ! -perm -555) ]] || problem "not open: $(find "$DEST" -type d ! -perm -555)"
	find "$DEST" -type f | sed "s|^$DEST||" | grep -vE '^/usr/(bin/msae|libexec/msae/[a-z-]+|share/man/man1/[a-z-]+\.1|share/bash-completion/completions/msae)$' >"$BATS_TEST_TMPDIR/odd" || true
	[[ ! -s $BATS_TEST_TMPDIR/odd ]] || problem "odd: $(cat "$BATS_TEST_TMPDIR/odd")"
}

@test "make uninstall leaves nothing of ours, and what is not ours" {
	cp -a "$DEST" "$BATS_TEST_TMPDIR/copy"
	echo mine >"$BATS_TEST_TMPDIR/copy/usr/bin/other"
	ok make -C "$ROOT" --no-print-directory uninstall DESTDIR="$BATS_TEST_TMPDIR/copy" PREFIX=/usr
	left=$(cd "$BATS_TEST_TMPDIR/copy" && find . -type f -o -type l)
	[[ $left == ./usr/bin/other ]] || problem "left: $left"
	[[ ! -d $BATS_TEST_TMPDIR/copy/usr/libexec/msae ]] || problem "libexec/msae is left"
}
