#compdef softwarecontainerctl
# Completion of softwarecontainerctl, for zsh.

_softwarecontainerctl_containers() {
    local -a containers
    containers=(${(f)"$(softwarecontainerctl list 2> /dev/null | cut -f 1)"})
    compadd -a containers
}

_softwarecontainerctl_processes() {
    local -a processes
    processes=(${(f)"$(softwarecontainerctl ps "$1" 2> /dev/null | cut -f 1)"})
    compadd -a processes
}

_softwarecontainerctl() {
    local -a commands=(list inspect ps exec kill suspend resume destroy capabilities)
    local context state line
    _arguments -C '(-b --session-bus)'{-b,--session-bus}'[the agent is on the session bus]' \
        '(- *)'{-h,--help}'[print help]' '(- *)'{-V,--version}'[print the version]' \
        '1:command:->command' '*::argument:->argument'
    case $state in
    command) compadd -a commands ;;
    argument)
        case $line[1] in
        exec)
            _arguments '(-i --interactive)'{-i,--interactive}'[with this standard input]' \
                '(-t --tty)'{-t,--tty}'[at this terminal]' \
                '(-u --user)'{-u,--user}'[user of the container]:user:' \
                '(-w --directory)'{-w,--directory}'[directory of the container]:directory:' \
                '*'{-e,--env}'[variable]:NAME=VALUE:' \
                '1:container:_softwarecontainerctl_containers' '*::command:'
            ;;
        kill)
            _arguments '(-s --signal)'{-s,--signal}'[signal]:signal:(HUP INT QUIT KILL USR1 USR2 TERM CONT)' \
                '1:container:_softwarecontainerctl_containers' '2:process:_softwarecontainerctl_processes $line[1]'
            ;;
        inspect | ps | suspend | resume | destroy) _softwarecontainerctl_containers ;;
        esac
        ;;
    esac
}

_softwarecontainerctl "$@"
