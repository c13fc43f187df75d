import Foundation
import Kernel
import Synchronization

/// Fetches an export into a file, or to standard output.
struct Download {
    private let client: APIClient

    init(_ client: APIClient) { self.client = client }

    /// - Parameter out: `nil` writes to standard output.
    func save(_ path: String, to out: String?) async throws {
        guard let out else {
            // By whole lines: a piece may end within a character.
            let rest = Mutex<[UInt8]>([])
            try await client.stream(path) { piece in
                let lines = rest.withLock { rest in
                    rest += piece
                    let end = (rest.lastIndex(of: 0x0A) ?? -1) + 1
                    defer { rest.removeFirst(end) }
                    return String(decoding: rest[..<end], as: UTF8.self)
                }
                client.terminal.write(lines)
            }
            return client.terminal.write(String(decoding: rest.withLock { $0 }, as: UTF8.self))
        }
        let file = try ExportFile(path: out)
        let taken = Mutex((bytes: 0, shown: 0))
        do {
            try await client.stream(path) { piece in
                try file.write(piece)
                let shown: Int? = taken.withLock { taken in
                    taken.bytes += piece.count
                    guard taken.bytes - taken.shown >= 4 << 20 else { return nil }
                    taken.shown = taken.bytes
                    return taken.bytes
                }
                if let shown { client.terminal.progress("\(shown >> 20) MiB") }
            }
            try file.finish()
        } catch {
            file.abandon()
            throw error
        }
        client.terminal.endProgress()
        client.terminal.print("Export written to \(out).")
    }
}

/// Takes the lines of an export of events as they come and makes records of comma-separated values of them.
final class EventLines: Sendable {
    private struct State {
        var rest: [UInt8] = []
        var count = 0
        var isWhole = false
    }
    private let state = Mutex(State())

    var header: [UInt8] {
        var out: [UInt8] = []
        CSV.append(header: EventCSV.names, to: &out)
        return out
    }
    var count: Int { state.withLock { $0.count } }
    /// The last line has come.
    var isWhole: Bool { state.withLock { $0.isWhole } }

    func records(of piece: [UInt8]) throws -> [UInt8] {
        try state.withLock { state in
            state.rest += piece
            var out: [UInt8] = []
            var start = 0
            while let end = state.rest[start...].firstIndex(of: 0x0A) {
                let line = Array(state.rest[start..<end])
                start = end + 1
                if let record = try EventCSV.record(ofLine: line) {
                    out += record
                    state.count += 1
                } else {
                    state.isWhole = line.starts(with: Array("{\"count\":".utf8))
                }
            }
            state.rest.removeFirst(start)
            return out
        }
    }
}

/// A file that appears whole or not at all.
final class ExportFile: Sendable {
    private let path: String
    private let temporary: String
    private let descriptor: Int32

    init(path: String) throws(CommandFailure) {
        self.path = path
        temporary = path + ".part"
        descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw CommandFailure(.usage, "\(path) can't be written: \(String(cString: strerror(errno))).")
        }
    }

    func write(_ bytes: [UInt8]) throws(CommandFailure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0 {
                if errno == EINTR { continue }
                throw CommandFailure(.unexpected, "\(path) can't be written: \(String(cString: strerror(errno))).")
            }
            rest = rest.dropFirst(written)
        }
    }

    func finish() throws(CommandFailure) {
        guard fsync(descriptor) == 0, close(descriptor) == 0, rename(temporary, path) == 0 else {
            throw CommandFailure(.unexpected, "\(path) can't be written: \(String(cString: strerror(errno))).")
        }
    }

    func abandon() {
        close(descriptor)
        unlink(temporary)
    }
}
