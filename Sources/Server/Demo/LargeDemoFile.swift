import CommandLine
import Kernel

/// What large data a demo has, and whether it is whole; kept in `large.json` beside `demo.json`.
struct LargeDemoFile: Sendable {
    let size: DemoSize
    let isDone: Bool

    /// Of all that looks random in it.
    static let seed: UInt64 = 1

    private static func path(in data: String) -> String { data + "/large.json" }

    /// `nil` when the demo has none.
    static func load(from data: String) throws(CommandFailure) -> LargeDemoFile? {
        guard let text = try PrivateFile.read(path(in: data)) else { return nil }
        guard let json = try? JSON(parsing: text), let tenants = json["tenants"]?.int, let events = json["events"]?.int,
            let isDone = json["done"]?.bool
        else {
            throw CommandFailure(
                .usage, "\(path(in: data)) is damaged. Remove the directory \(data) to make the demo anew.")
        }
        return LargeDemoFile(size: DemoSize(tenants: Int(tenants), events: Int(events)), isDone: isDone)
    }

    func save(in data: String) throws(CommandFailure) {
        let json: JSON = [
            "tenants": .int(Int64(size.tenants)), "events": .int(Int64(size.events)), "done": .bool(isDone),
        ]
        try PrivateFile.write(json.pretty() + "\n", to: Self.path(in: data))
    }
}
