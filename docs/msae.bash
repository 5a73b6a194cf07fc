# bash completion for msae: programs, then the options each program lists
_msae() {
	local cur=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[1]}

	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "$(msae --list 2>/dev/null) help keygen --version --help" -- "$cur")
	elif [[ $program == help ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(msae --list 2>/dev/null)" -- "$cur")
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(msae "$program" --list-options 2>/dev/null)" -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}
complete -o filenames -F _msae msae
