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

_softwarecontainerctl_capabilities() {
    local -a capabilities
    capabilities=(${(f)"$(softwarecontainerctl capabilities 2> /dev/null | cut -f 1)"})
    compadd -a capabilities
}

_softwarecontainerctl() {
    local -a commands=(list status inspect explain rules ps top monitor trace doctor run exec kill suspend resume destroy capabilities)
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
        run)
            _arguments '(-i --interactive)'{-i,--interactive}'[with this standard input]' \
                '(-t --tty)'{-t,--tty}'[at this terminal]' \
                '(-u --user)'{-u,--user}'[user of the container]:user:' \
                '(-w --directory)'{-w,--directory}'[directory of the container]:directory:' \
                '*'{-e,--env}'[variable]:NAME=VALUE:' \
                '*'{-c,--capability}'[capability]:capability:_softwarecontainerctl_capabilities' \
                '*'{-m,--mount}'[file or directory of the host]:HOST\:CONTAINER:' \
                '--app[app that it is for]:app:' '--write-buffer[with write buffers]' '*::command:'
            ;;
        trace) _arguments '--json[one object a line]' '1:container:_softwarecontainerctl_containers' ;;
        monitor) _arguments '--json[one object a line]' ;;
        top) _arguments '(-n --rounds)'{-n,--rounds}'[how often]:rounds:' ;;
        capabilities) _softwarecontainerctl_capabilities ;;
        inspect | status | explain | rules | ps | suspend | resume | destroy) _softwarecontainerctl_containers ;;
        esac
        ;;
    esac
}

_softwarecontainerctl "$@"
