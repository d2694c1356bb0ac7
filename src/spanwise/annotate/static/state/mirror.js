/**
 * A copy of unsaved drafts on this device (IndexedDB), written before the server is asked. Knows nothing of the server.
 */

const NAME = "spanwise-drafts";

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore("drafts");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function run(mode, work) {
  const database = await opened();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction("drafts", mode);
      const request = work(transaction.objectStore("drafts"));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = () => reject(transaction.error);
      transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

export const mirror = {
  put: (key, value) => run("readwrite", (store) => store.put(value, key)),
  get: (key) => run("readonly", (store) => store.get(key)),
  remove: (key) => run("readwrite", (store) => store.delete(key)),
};
