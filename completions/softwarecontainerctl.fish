# Completion of softwarecontainerctl, for fish.

set -l commands list inspect ps exec kill suspend resume destroy capabilities

function __softwarecontainerctl_containers
    softwarecontainerctl list 2>/dev/null | string replace -r '\t.*' ''
end

complete -c softwarecontainerctl -f
complete -c softwarecontainerctl -n "not __fish_seen_subcommand_from $commands" -a "$commands"
complete -c softwarecontainerctl -n "not __fish_seen_subcommand_from $commands" -s b -l session-bus -d 'The agent is on the session bus'
complete -c softwarecontainerctl -n "not __fish_seen_subcommand_from $commands" -s h -l help -d 'Print help'
complete -c softwarecontainerctl -n "not __fish_seen_subcommand_from $commands" -s V -l version -d 'Print the version'
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from inspect ps exec kill suspend resume destroy" -a "(__softwarecontainerctl_containers)"
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from exec" -s i -l interactive -d 'With this standard input'
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from exec" -s t -l tty -d 'At this terminal'
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from exec" -s u -l user -x -d 'User of the container'
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from exec" -s w -l directory -x -d 'Directory of the container'
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from exec" -s e -l env -x -d 'Variable'
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from kill" -s s -l signal -x -a "HUP INT QUIT KILL USR1 USR2 TERM CONT" -d Signal
