import Kernel

extension UI {
    /// More names are counted.
    private static let mostNamed = 5

    /// Who could sign, and who of them is there.
    public static func onShift(_ shift: OnShift) -> Node {
        let isEmpty = shift.present.isEmpty
        return el("p", .class("small")) { state(sentence(shift), isEmpty ? .warn : .ok, isEmpty ? .tri : .on) }
    }

    private static func sentence(_ shift: OnShift) -> String {
        if shift.able == 0 {
            return "Nobody can sign this now: nobody else holds what it asks for, or they may not sign for this person."
        }
        guard !shift.present.isEmpty else {
            return "Nobody who could sign is signed in: they find it in their inboxes"
                + (shift.sendsMail ? " and will get mail." : ".")
        }
        let more = shift.present.count - mostNamed
        // Without a full stop: names may end with one.
        return "Here within the last \(TimeText.span(OnShift.lately)) and able to sign: "
            + shift.present.prefix(mostNamed).joined(separator: ", ") + (more > 0 ? " and \(more) more" : "")
    }
}
