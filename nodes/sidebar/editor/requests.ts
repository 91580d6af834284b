/** Requests to the admin endpoints: by jQuery, which carries the editor's token and its root. */

export class RequestError extends Error {
  constructor(
    /** 0 = Node-RED cannot be reached. */
    readonly status: number,
    message: string | undefined,
  ) {
    super(message ?? `HTTP ${status}`);
  }
}

function failure(answer: AjaxAnswer): RequestError {
  const body = answer.responseJSON;
  const message =
    typeof body === "object" && body !== null ? (body as { message?: unknown }).message : undefined;
  return new RequestError(answer.status, typeof message === "string" ? message : undefined);
}

/** `url` is relative to the editor. @throws RequestError */
export function request<T>(url: string, method = "GET", body?: unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    $.ajax({
      url,
      type: method,
      cache: false,
      timeout: 20_000,
      ...(body === undefined
        ? {}
        : { contentType: "application/json", data: JSON.stringify(body) }),
      success: (data) => resolve(data as T),
      error: (answer) => reject(failure(answer)),
    });
  });
}

/** A file, fetched with the editor's token, which a plain link would not carry. @throws RequestError */
export function file(url: string): Promise<Blob> {
  return new Promise((resolve, reject) => {
    $.ajax({
      url,
      processData: false,
      xhrFields: { responseType: "blob" },
      success: (data) => resolve(data as Blob),
      error: (answer) => reject(failure(answer)),
    });
  });
}

/** Offers a file to the user's disk. */
export function save(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
