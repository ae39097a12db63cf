# bash completion for retort; what it offers comes from the program itself.
_retort() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-*) ;;
		*) command=${COMP_WORDS[i]}; break ;;
		esac
	done
	if [[ -z $command ]]; then
		COMPREPLY=($(compgen -W "$(retort --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p') --help --version --plugin-path" -- "$cur"))
	elif [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$(retort "$command" --help 2>/dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p') --help" -- "$cur"))
	elif [[ $prev == --runs || $prev == --plugin-path ]]; then
		COMPREPLY=($(compgen -d -- "$cur"))
	elif [[ $command == convert && $prev == --type ]]; then
		COMPREPLY=($(compgen -W 'f32 f16 bf16 q8_0 q6_k q5_k q5_1 q5_0 q4_k q4_1 q4_0 iq4_nl iq4_xs q3_k q2_k' -- "$cur"))
	elif [[ $command == bench && $prev == --type ]]; then
		COMPREPLY=($(compgen -W 'q8_0 q4_0 q4_k_m bf16 f16 f32' -- "$cur"))
	elif [[ $command == bench && $prev == --parts ]]; then
		COMPREPLY=($(compgen -W 'limits prefill decode request load train' -- "$cur"))
	elif [[ $command == bench && $prev == --folder ]]; then
		COMPREPLY=($(compgen -d -- "$cur"))
	elif [[ $command == bench ]]; then
		COMPREPLY=($(compgen -W 'qwen2.5-0.5b 0.4b 10m 2m' -- "$cur") $(compgen -f -- "$cur"))
	elif [[ $command == plugins ]]; then
		COMPREPLY=($(compgen -W "$(retort plugins 2>/dev/null | sed -n 's/^\([a-z]*-[a-z0-9-]*\) .*/\1/p')" -- "$cur"))
	elif [[ $command == report && -d runs ]]; then
		COMPREPLY=($(compgen -W "$(cd runs && ls -d */ 2>/dev/null | tr -d /)" -- "$cur"))
	elif [[ $command == runs && $prev == runs ]]; then
		COMPREPLY=($(compgen -W 'list show remove collect verify' -- "$cur"))
	else
		COMPREPLY=($(compgen -f -- "$cur"))
	fi
}
complete -o filenames -F _retort retort
