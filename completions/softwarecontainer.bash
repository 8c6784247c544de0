# Completion of the programs' options, for bash: what --help lists is what is offered.

_softwarecontainer_running() {
    softwarecontainer-launcher list 2> /dev/null | cut -f 1
}

_softwarecontainer_apps() {
    local file
    for file in /etc/softwarecontainer/apps/*.json; do
        [ ! -e "$file" ] || basename "$file" .json
    done
}

_softwarecontainer() {
    local program=$1 word=$2 previous=$3 words=
    case $word in
    -*) words=$("$program" --help 2> /dev/null | grep -oE -- '(^|[ ,])--?[a-z][a-z-]*' | tr -d ' ,') ;;
    *)
        if [ "${program##*/}" = softwarecontainer-launcher ]; then
            case $previous in
            run) words=$(_softwarecontainer_apps) ;;
            stop | suspend | resume) words=$(_softwarecontainer_running) ;;
            list | capabilities | -*) ;;
            *) words="run list stop suspend resume capabilities" ;;
            esac
        elif [ "${program##*/}" = softwarecontainerctl ]; then
            case $previous in
            inspect | status | trace | explain | rules | ps | exec | kill | suspend | resume | destroy) words=$("$program" list 2> /dev/null | cut -f 1) ;;
            capabilities | -c | --capability) words=$("$program" capabilities 2> /dev/null | cut -f 1) ;;
            list | top | doctor | run) ;;
            monitor) words="--json" ;;
            -s | --signal) words="HUP INT QUIT KILL USR1 USR2 TERM CONT" ;;
            "$program" | -b | --session-bus) words="list status inspect explain rules ps top monitor trace doctor run exec kill suspend resume destroy capabilities" ;;
            esac
        fi
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -o default -F _softwarecontainer softwarecontainer-agent softwarecontainer-validate softwarecontainer-launcher softwarecontainerctl
