import Foundation
import Kernel

/// A command of the operator's own that prints a secret: a KMS client, a password store.
public enum SecretCommand {
    public static let limit = Duration.seconds(10)
    /// Far more than any key.
    private static let mostBytes = 65_536

    /// What `command` prints on standard output, run by `/bin/sh`. What it says on standard error goes to ours.
    /// - Parameter setting: where the command stands, for the sentences.
    /// - Throws: `.usage` when it can't be started, fails, prints no text, or takes longer than `limit`; it and what it
    ///   started are ended then.
    public static func output(
        of command: String, setting: String, limit: Duration = limit
    ) throws(CommandFailure) -> String {
        let (child, output) = try start(command, setting)
        defer { close(output) }
        let deadline = ContinuousClock.now + limit
        func end(_ why: String) -> CommandFailure {
            kill(-child, SIGKILL)
            var status: Int32 = 0
            while waitpid(child, &status, 0) < 0, errno == EINTR {}
            return CommandFailure(.usage, "\(setting) \(why).")
        }
        let seconds = limit.components.seconds

        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while true {
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { throw end("did not end within \(seconds) seconds") }
            var wait = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000
            guard poll(&wait, 1, Int32(milliseconds) + 1) > 0 else { continue }
            let count = read(output, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += piece.prefix(count)
            guard bytes.count <= mostBytes else { throw end("prints more than a key") }
        }

        var status: Int32 = 0
        while true {
            let ended = waitpid(child, &status, WNOHANG)
            if ended == child { break }
            guard ContinuousClock.now < deadline else { throw end("did not end within \(seconds) seconds") }
            usleep(5000)
        }
        // As <sys/wait.h> reads it: the low seven bits are the signal, the next byte the exit status.
        guard status & 0x7F == 0 else {
            throw CommandFailure(.usage, "\(setting) was ended by signal \(status & 0x7F).")
        }
        guard status == 0 else {
            throw CommandFailure(.usage, "\(setting) ended with status \((status >> 8) & 0xFF).")
        }
        guard let text = String(validating: bytes, as: UTF8.self), !text.allSatisfy(\.isWhitespace) else {
            throw CommandFailure(.usage, "\(setting) printed \(bytes.isEmpty ? "nothing" : "no text").")
        }
        return text
    }

    /// In a process group of its own, so that it can be ended with everything it started.
    private static func start(
        _ command: String, _ setting: String
    ) throws(CommandFailure) -> (child: pid_t, output: Int32) {
        func failure(_ code: Int32) -> CommandFailure {
            CommandFailure(.usage, "\(setting) can't be started: \(String(cString: strerror(code))).")
        }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw failure(errno) }
        defer { close(ends[1]) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        #if canImport(Darwin)
            var actions: posix_spawn_file_actions_t?
            var attributes: posix_spawnattr_t?
        #else
            var actions = posix_spawn_file_actions_t()
            var attributes = posix_spawnattr_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawnattr_setpgroup(&attributes, 0)
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP) | Int16(POSIX_SPAWN_SETSIGDEF))
        let words = copies(["/bin/sh", "-c", command])
        let environment = copies(ProcessInfo.processInfo.environment.map { "\($0)=\($1)" })
        defer { for text in words + environment { free(text) } }
        var child: pid_t = 0
        let code = posix_spawn(&child, "/bin/sh", &actions, &attributes, words, environment)
        guard code == 0 else {
            close(ends[0])
            throw failure(code)
        }
        return (child, ends[0])
    }

    /// C strings with the null that ends their list.
    private static func copies(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] {
        texts.map { text in text.withCString { strdup($0) } } + [nil]
    }
}
