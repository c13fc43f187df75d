import Foundation
import Kernel

/// Where a command reads from and writes to.
public struct Terminal: Sendable {
    /// True when a person can be asked: standard input and error are terminals.
    public let isInteractive: Bool
    /// True when standard output may carry colours.
    public let isColoured: Bool
    /// Columns of the output; `nil` when it is not a terminal, so that nothing is cut.
    public let width: Int?
    private let writeOut: @Sendable (String) -> Void
    private let writeError: @Sendable (String) -> Void
    private let ask: @Sendable (_ secret: Bool) -> String?

    public init(
        isInteractive: Bool, isColoured: Bool, width: Int?, out: @escaping @Sendable (String) -> Void,
        error: @escaping @Sendable (String) -> Void, ask: @escaping @Sendable (_ secret: Bool) -> String?
    ) {
        self.isInteractive = isInteractive
        self.isColoured = isColoured
        self.width = width
        writeOut = out
        writeError = error
        self.ask = ask
    }

    /// The process's own standard streams. `NO_COLOR` turns colours off.
    public static func standard(environment: [String: String]) -> Terminal {
        let isOutTerminal = isatty(1) == 1
        return Terminal(
            isInteractive: isatty(0) == 1 && isatty(2) == 1,
            isColoured: isOutTerminal && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb",
            width: isOutTerminal ? columns() : nil,
            out: { writeAll($0, to: 1) }, error: { writeAll($0, to: 2) }, ask: readFromTerminal)
    }

    public func print(_ line: String) { writeOut(line + "\n") }
    /// Bytes as they are, without a line end of their own.
    public func write(_ text: String) { writeOut(text) }
    public func note(_ line: String) { writeError(line + "\n") }
    /// Replaces the current line of standard error on a terminal; silent elsewhere.
    public func progress(_ line: String) {
        if isInteractive { writeError("\r\u{1B}[2K" + line) }
    }
    public func endProgress() {
        if isInteractive { writeError("\r\u{1B}[2K") }
    }

    /// Asks on standard error, so that standard output stays clean for scripts.
    public func prompt(_ question: String, secret: Bool = false) throws(CommandFailure) -> String {
        writeError(question)
        guard let answer = ask(secret) else {
            throw CommandFailure(.usage, "\nNothing was entered; nothing was done.")
        }
        return answer
    }

    public func bold(_ text: String) -> String { isColoured ? "\u{1B}[1m\(text)\u{1B}[0m" : text }
    public func faint(_ text: String) -> String { isColoured ? "\u{1B}[2m\(text)\u{1B}[0m" : text }

    private static func columns() -> Int {
        var size = winsize()
        guard ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 100 }
        return Int(size.ws_col)
    }

    private static func writeAll(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0 {
                if errno == EINTR { continue }
                return  // the reader went away; there is nobody left to tell
            }
            bytes = bytes.dropFirst(written)
        }
    }

    /// One line from standard input; without echo when it is a secret on a terminal.
    @Sendable private static func readFromTerminal(secret: Bool) -> String? {
        var saved = termios()
        let hides = secret && tcgetattr(0, &saved) == 0
        if hides {
            var silent = saved
            silent.c_lflag &= ~tcflag_t(ECHO)
            tcsetattr(0, TCSAFLUSH, &silent)
        }
        defer {
            if hides {
                tcsetattr(0, TCSAFLUSH, &saved)
                writeAll("\n", to: 2)
            }
        }
        return readLine(strippingNewline: true)
    }
}

extension String {
    /// Shown width: one column a character is close enough for names, and never splits one.
    func padded(to width: Int) -> String {
        count >= width ? self : self + String(repeating: " ", count: width - count)
    }

    /// Without control characters, so that a stored text can't steer the terminal.
    var printable: String {
        String(
            String.UnicodeScalarView(
                unicodeScalars.map { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) ? "\u{FFFD}" : $0 }))
    }
}
