/// What a shell reads to complete `postern`: words, options and the values that are known beforehand. Static: completing
/// asks no server and writes nothing.
struct CompletionScript: Sendable {
    enum Shell: String, CaseIterable, Sendable {
        case bash, zsh, fish
    }

    let tree: CommandTree

    func text(for shell: Shell) -> String {
        switch shell {
        case .bash: Self.bashHead + candidates + Self.bashTail
        case .zsh: Self.zshHead + candidates + descriptions + Self.zshTail
        case .fish: fish
        }
    }

    // MARK: bash and zsh

    /// One text for both, in what the POSIX shell has: tables, and a function that prints what may stand at the end of the
    /// words it is given, one a line. `:file` stands for a file's name.
    private var candidates: String {
        var out = "_postern_words() {\n  case $1 in\n"
        for command in tree.commands where !command.children.isEmpty {
            out += line(command.path, command.words)
        }
        out += "  esac\n}\n_postern_options() {\n  case $1 in\n"
        for command in tree.commands {
            // What takes a value is marked by a sign at its end.
            let names = command.options.flatMap { option in
                option.names.map { option.value == nil ? $0 : $0 + "=" }
            }
            if !names.isEmpty { out += line(command.path, names) }
        }
        out += "  esac\n}\n_postern_values() {\n  case $1 in\n"
        for command in tree.commands {
            for option in command.options {
                guard let value = option.value, let words = Self.words(value) else { continue }
                for name in option.names { out += line("\(command.path) \(name)", words) }
            }
            if let words = Self.words(command.argument) { out += line("\(command.path) <>", words) }
        }
        return out + "  esac\n}\n" + Self.walk
    }

    private static func words(_ values: CommandTree.Values) -> [String]? {
        switch values {
        case .anything: nil
        case .words(let words): words
        case .file: [":file"]
        }
    }

    private func line(_ pattern: String, _ words: [String]) -> String {
        "    \(Self.quoted(pattern))) printf '%s\\n' \(Self.quoted(words.joined(separator: " ")));;\n"
    }

    private static func quoted(_ text: String) -> String { "'" + text.replacing("'", with: "'\\''") + "'" }

    private static let walk = #"""
        _postern_walk() {
          _postern_path='' _postern_option=''
          while [ $# -gt 1 ]; do
            if [ -n "$_postern_option" ]; then
              _postern_option=''
            else
              case $1 in
                --*=*) ;;
                -*)
                  case " $(_postern_options "$_postern_path") " in *" $1= "*) _postern_option=$1 ;; esac ;;
                *)
                  case " $(_postern_words "$_postern_path") " in
                    *" $1 "*) _postern_path="${_postern_path:+$_postern_path }$1" ;;
                  esac ;;
              esac
            fi
            shift
          done
          _postern_last=${1-}
        }
        _postern_candidates() {
          _postern_walk "$@"
          if [ -n "$_postern_option" ]; then
            for _postern_word in $(_postern_values "$_postern_path $_postern_option"); do echo "$_postern_word"; done
            return
          fi
          case $_postern_last in
            --*=*)
              for _postern_word in $(_postern_values "$_postern_path ${_postern_last%%=*}"); do
                if [ "$_postern_word" = :file ]; then echo :file; else echo "${_postern_last%%=*}=$_postern_word"; fi
              done ;;
            -*)
              for _postern_word in $(_postern_options "$_postern_path"); do echo "${_postern_word%=}"; done ;;
            *)
              for _postern_word in $(_postern_words "$_postern_path") $(_postern_values "$_postern_path <>"); do
                echo "$_postern_word"
              done ;;
          esac
        }

        """#

    private static let bashHead = """
        # bash completion of postern. Load it with: source <(postern completion bash)

        """

    private static let bashTail = #"""
        _postern() {
          local word candidates current=${COMP_WORDS[COMP_CWORD]} IFS=$' \t\n'
          local -a words=()
          # bash takes words apart at their = signs.
          for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
            if [[ ${#words[@]} -gt 0 && ( $word == = || ${words[${#words[@]}-1]} == --*= ) ]]; then
              words[${#words[@]}-1]+=$word
            else
              words+=("$word")
            fi
          done
          candidates=$(_postern_candidates "${words[@]}")
          [[ $current == = ]] && current=
          COMPREPLY=()
          if [[ $candidates == :file ]]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
          else
            word=${words[${#words[@]}-1]}
            # What bash completes begins behind the sign.
            [[ $word == --*=* && $current != --*=* ]] && candidates=${candidates//"${word%%=*}="/}
            mapfile -t COMPREPLY < <(compgen -W "$candidates" -- "$current")
          fi
        }
        complete -F _postern postern

        """#

    private static let zshHead = """
        #compdef postern
        # zsh completion of postern. Write it to a folder of $fpath as _postern, or load it with: source <(postern completion zsh)

        """

    /// What each command and option is for, which zsh shows beside it.
    private var descriptions: String {
        var out = "typeset -gA _postern_help\n_postern_help=(\n"
        for command in tree.commands {
            let before = command.path.isEmpty ? "" : command.path + " "
            for child in command.children {
                out += "  \(Self.quoted(before + child.word)) \(Self.quoted(child.help))\n"
            }
            for option in command.options {
                for name in option.names { out += "  \(Self.quoted(before + name)) \(Self.quoted(option.help))\n" }
            }
        }
        return out + ")\n"
    }

    private static let zshTail = #"""
        _postern() {
          local candidates word help
          local -a typed described plain
          # Only the words up to the one that is being typed.
          typed=("${(@)words[2,$CURRENT]}")
          candidates=$(_postern_candidates "${typed[@]}")
          if [ "$candidates" = :file ]; then
            # What is completed begins behind the sign of --out=FILE.
            compset -P '--*='
            _files
            return
          fi
          _postern_walk "${typed[@]}"
          for word in ${=candidates}; do
            help=
            [ -n "$_postern_option" ] || help=${_postern_help[${_postern_path:+$_postern_path }$word]-}
            if [ -n "$help" ]; then described+=("$word:$help"); else plain+=("$word"); fi
          done
          (( $#described )) && _describe -t commands postern described
          (( $#plain )) && compadd -- $plain
        }
        if [ "${funcstack[1]}" = _postern ]; then
          _postern "$@"
        elif (( $+functions[compdef] )); then
          compdef _postern postern
        else
          print -ru2 "postern: run this first: autoload -Uz compinit && compinit"
        fi

        """#

    // MARK: fish

    private var fish: String {
        let paths = tree.commands.map(\.path).filter { !$0.isEmpty }
        let valued = tree.commands.flatMap { command in
            command.options.filter { $0.value != nil }.flatMap(\.names).map { "\(command.path) \($0)" }
        }
        var out = """
            # fish completion of postern. Load it with: postern completion fish | source
            set -g __postern_commands \(paths.map(Self.quoted).joined(separator: " "))
            # Options that take the next word: it is no command, whatever it says.
            set -g __postern_valued \(valued.map(Self.quoted).joined(separator: " "))
            set -g __postern_line
            function __postern_at
              set -l tokens (commandline -opc)
              set -l line (string join \\n -- $tokens | string collect)
              # Asked for every command there is, worked out once for a line.
              if test "$line" != "$__postern_line"
                set -g __postern_line $line
                set -g __postern_path ''
                set -l option
                for token in $tokens[2..-1]
                  if set -q option[1]
                    set -e option
                    continue
                  end
                  switch $token
                    case '--*=*'
                    case '-*'
                      contains -- "$__postern_path $token" $__postern_valued; and set option $token
                    case '*'
                      set -l next (string trim -- "$__postern_path $token")
                      contains -- $next $__postern_commands; and set -g __postern_path $next
                  end
                end
              end
              test "$__postern_path" = "$argv[1]"
            end
            complete -c postern -f

            """
        for command in tree.commands {
            let place = "complete -c postern -n \(Self.quoted("__postern_at \"\(command.path)\""))"
            for child in command.children {
                out += "\(place) -a \(Self.quotedFish(child.word)) -d \(Self.quotedFish(child.help))\n"
            }
            switch command.argument {
            case .anything: break
            case .words(let words): out += "\(place) -a \(Self.quotedFish(words.joined(separator: " ")))\n"
            case .file: out += "\(place) -F\n"
            }
            for option in command.options {
                let names = option.names.map { name in
                    name.hasPrefix("--") ? "-l \(name.dropFirst(2))" : "-s \(name.dropFirst())"
                }.joined(separator: " ")
                let value =
                    switch option.value {
                    case nil: ""
                    case .anything?: " -x"
                    case .words(let words)?: " -x -a \(Self.quotedFish(words.joined(separator: " ")))"
                    case .file?: " -r -F"
                    }
                out += "\(place) \(names)\(value) -d \(Self.quotedFish(option.help))\n"
            }
        }
        return out
    }

    /// fish knows two escapes within single quotes.
    private static func quotedFish(_ text: String) -> String {
        "'" + text.replacing("\\", with: "\\\\").replacing("'", with: "\\'").replacing("\n", with: " ") + "'"
    }
}
