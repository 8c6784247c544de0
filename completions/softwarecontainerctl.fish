# Completion of softwarecontainerctl, for fish.

set -l commands list status inspect explain rules ps top monitor trace doctor run exec kill suspend resume destroy capabilities

function __softwarecontainerctl_containers
    softwarecontainerctl list 2>/dev/null | string replace -r '\t.*' ''
end

function __softwarecontainerctl_capabilities
    softwarecontainerctl capabilities 2>/dev/null | string replace -r '\t.*' ''
end

complete -c softwarecontainerctl -f
complete -c softwarecontainerctl -n "not __fish_seen_subcommand_from $commands" -a "$commands"
complete -c softwarecontainerctl -n "not __fish_seen_subcommand_from $commands" -s b -l session-bus -d 'The agent is on the session bus'
complete -c softwarecontainerctl -n "not __fish_seen_subcommand_from $commands" -s h -l help -d 'Print help'
complete -c softwarecontainerctl -n "not __fish_seen_subcommand_from $commands" -s V -l version -d 'Print the version'
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from inspect status trace explain rules ps exec kill suspend resume destroy" -a "(__softwarecontainerctl_containers)"
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from capabilities" -a "(__softwarecontainerctl_capabilities)"
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from monitor trace" -l json -d 'One object a line'
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from top" -s n -l rounds -x -d 'How often'
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from run" -s c -l capability -x -a "(__softwarecontainerctl_capabilities)" -d 'Capability'
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from run" -s m -l mount -x -d 'HOST:CONTAINER[:ro]'
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from run" -l app -x -d 'App that it is for'
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from run" -l write-buffer -d 'With write buffers'
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from exec run" -s i -l interactive -d 'With this standard input'
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from exec run" -s t -l tty -d 'At this terminal'
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from exec run" -s u -l user -x -d 'User of the container'
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from exec run" -s w -l directory -x -d 'Directory of the container'
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from exec run" -s e -l env -x -d 'Variable'
complete -c softwarecontainerctl -n "__fish_seen_subcommand_from kill" -s s -l signal -x -a "HUP INT QUIT KILL USR1 USR2 TERM CONT" -d Signal
